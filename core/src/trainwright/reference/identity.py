"""What identifies a model: enough to never take the log-probabilities of another, and cheap enough to ask each time.

A model of the hub is known by its commit. A folder is known by its path and, for each file that the forward depends on,
its size, its time of change and a hash of its beginning, its end and places between; no weights are read in full.
"""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

from trainwright.config.models import LoraSection, ModelSection, RunConfig
from trainwright.model.find import find_adapter
from trainwright.model.source import Source
from trainwright.template.render import text_tokenizer

_SUFFIXES = (".safetensors", ".bin", ".py")
_NAMES = ("config.json", "adapter_config.json", "model.safetensors.index.json", "pytorch_model.bin.index.json")
_SAMPLES, _BLOCK = 32, 4096


def model_identity(section: ModelSection, config: RunConfig, lora: LoraSection | None = None) -> dict[str, Any]:
    """What identifies a section's model and how it is loaded, as JSON values.

    Args:
        section: The section.
        config: The run's config.
        lora: The adapter to be trained, whose `quantize` says how the base is stored.

    Raises:
        ModelError: The model is not there.
    """
    source = Source(section, config)
    adapter = find_adapter(section, config)
    return {
        "path": source.path,
        "content": _content(source.path, "config.json", source.identity.get("revision")),
        "adapter": adapter and {"path": adapter, "content": _content(adapter, "adapter_config.json", None)},
        "dtype": section.dtype,
        "attn_implementation": section.attn_implementation,
        "quantize": lora.quantize if lora else None,
        "init_kwargs": _plain(section.init_kwargs),
        "transformers": metadata.version("transformers"),
    }


def parameters_identity(model: Any) -> dict[str, Any]:
    """What identifies a model that no config names: the content of its parameters and buffers."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return {"parameters": digest.hexdigest(), "transformers": metadata.version("transformers")}


def processing_identity(processing_class: Any) -> str:
    """What rows with images become, which are tokenised as they are collated: SHA-256 of the processor's settings."""
    tokenizer = text_tokenizer(processing_class)
    settings = [processing_class.to_json_string() if tokenizer is not processing_class else ""]
    backend = getattr(tokenizer, "backend_tokenizer", None)
    known = tokenizer.get_vocab() if backend is None else json.loads(backend.to_str())
    passing = ("padding", "truncation")  # as the last call has left them
    settings.append(json.dumps({name: known[name] for name in known if name not in passing}, sort_keys=True))
    return hashlib.sha256("\n".join(settings).encode()).hexdigest()


def _content(path: str, file: str, revision: str | None) -> Any:
    if Path(path).is_dir():
        return folder_identity(Path(path))
    from transformers.utils.hub import cached_file, extract_commit_hash

    found = cached_file(path, file, revision=revision)
    return {"revision": revision, "commit": extract_commit_hash(found, None)}


def folder_identity(folder: Path) -> dict[str, list[Any]]:
    """File → size, time of change in nanoseconds, and a hash of samples, of each file that the forward depends on."""
    files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES or path.name in _NAMES)
    return {path.name: [path.stat().st_size, path.stat().st_mtime_ns, _samples(path)] for path in files}


def _samples(path: Path) -> str:
    """SHA-256 of blocks from all over a file; of the whole where it is short."""
    size, digest = path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        if size <= _SAMPLES * _BLOCK:
            digest.update(file.read())
        else:
            for index in range(_SAMPLES):
                file.seek(index * (size - _BLOCK) // (_SAMPLES - 1))
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """As JSON: what is no JSON value (a dtype, a device) by its text."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
