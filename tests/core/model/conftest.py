from __future__ import annotations

import functools
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from trainwright.config.models import ModelSection, RunConfig

TURN_END = "<|im_end|>"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TRAINWRIGHT_CACHE", str(folder))
    return folder


@pytest.fixture
def make_config(tmp_path) -> Callable[..., RunConfig]:
    """`make_config(model_path_or_section, **further keys)`."""

    def make(model, **keys) -> RunConfig:
        return RunConfig(model=model if isinstance(model, ModelSection) else {"path": str(model)}, output="run", **keys)

    return make


@pytest.fixture
def install(tmp_path, monkeypatch) -> Callable[..., Path]:
    """`install("name", {"file": bytes})`: an installed distribution, as pip leaves it; returns its folder."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def make(name: str, files: dict[str, bytes], version: str = "1.0") -> Path:
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        record = []
        for path, content in {f"{info}/METADATA": _metadata(name, version), **files}.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_bytes(content)
            digest = urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            record.append(f"{path},sha256={digest},{len(content)}")
        (site / info / "RECORD").write_text("\n".join([*record, f"{info}/RECORD,,", ""]))
        return site

    return make


def _metadata(name: str, version: str) -> bytes:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()


@pytest.fixture
def tiny_gguf(make_gguf) -> bytes:
    """A whole GGUF file."""
    return make_gguf()


@pytest.fixture(scope="session")
def make_gguf(tmp_path_factory) -> Callable[..., bytes]:
    """`make_gguf(without="blk.0.attn_q")`: a GGUF file of a Llama, but for one of its tensors."""
    pytest.importorskip("gguf")
    return functools.cache(lambda without=None: _write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", without))


def _write_gguf(path: Path, without: str | None) -> bytes:
    """A Llama of one layer, with a byte-level tokenizer and a chat template."""
    import gguf
    import numpy as np
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    tokens = ["<|endoftext|>", "<|im_start|>", TURN_END, *bytes_to_unicode().values(), "he", "ll"]
    hidden, heads, kv_heads, middle = 32, 2, 1, 64
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(hidden)
    writer.add_block_count(1)
    writer.add_feed_forward_length(middle)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["h e", "l l"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    random = np.random.default_rng(0)
    shapes = {
        "token_embd": (len(tokens), hidden),
        "blk.0.attn_norm": (hidden,),
        "blk.0.attn_q": (hidden, hidden),
        "blk.0.attn_k": (hidden // heads * kv_heads, hidden),
        "blk.0.attn_v": (hidden // heads * kv_heads, hidden),
        "blk.0.attn_output": (hidden, hidden),
        "blk.0.ffn_norm": (hidden,),
        "blk.0.ffn_gate": (middle, hidden),
        "blk.0.ffn_up": (middle, hidden),
        "blk.0.ffn_down": (hidden, middle),
        "output_norm": (hidden,),
    }
    shapes.pop(without, None)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()
