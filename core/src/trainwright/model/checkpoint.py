"""Is a folder a whole checkpoint? Told from names, sizes and headers; no weights are read and torch is not imported."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainwright.errors import ModelError, Problem

_WHOLE = ("model.safetensors", "pytorch_model.bin")
_LARGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format


def check_checkpoint(folder: Path, where: str = "") -> None:
    """Refuse a folder whose config or weights are missing, cut off or unreadable.

    Args:
        folder: A folder as `save_pretrained` writes it.
        where: The place of the config key, for errors.

    Raises:
        ModelError: With every file that is not as it should be.
    """
    problems = [
        Problem(message, where, "Copy or download the model again.")
        for message in (_json_fault(folder / "config.json"), *_weight_faults(folder))
        if message
    ]
    if problems:
        raise ModelError.together(problems)


def _json_fault(file: Path) -> str:
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    except ValueError as error:
        return f"{file} is not JSON: {error}"
    return "" if isinstance(value, dict) else f"{file} holds no JSON object"


def _weight_faults(folder: Path) -> Iterator[str]:
    whole = [folder / name for name in _WHOLE if (folder / name).is_file()]
    indexes = sorted(folder.glob("*.index.json"))
    if whole:
        yield _file_fault(whole[0])
    elif indexes:
        yield from _shard_faults(indexes[0])
    elif not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        yield f"{folder} holds no weights (no model.safetensors)"


def _shard_faults(index: Path) -> Iterator[str]:
    fault = _json_fault(index)
    if fault:
        yield fault
        return
    shards: dict[str, Any] = json.loads(index.read_bytes()).get("weight_map", {})
    for name in sorted(set(shards.values())):
        file = index.parent / name
        yield _file_fault(file) if file.is_file() else f"{file} is missing; {index.name} names it"


def _file_fault(file: Path) -> str:
    if file.suffix == ".safetensors":
        return _safetensors_fault(file)
    return "" if zipfile.is_zipfile(file) else f"{file} is cut off or no PyTorch checkpoint"


def _safetensors_fault(file: Path) -> str:
    """What is wrong with a safetensors file: eight bytes of length, a JSON header, and as many bytes as it declares."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _LARGEST_HEADER + 1
        header = stream.read(length) if length <= _LARGEST_HEADER else b""
    try:
        tensors = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return f"{file} is cut off or no safetensors file"
    declared = 8 + length + max(ends, default=0)
    return "" if size == declared else f"{file} has {size} bytes where its header declares {declared}"
