"""Training templates on disk, so that each template is analysed once: by its text, its options and our versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trainwright.config.fields import cache_folder
from trainwright.run.files import write_atomically

REVISION = 3
"""To be raised where the same template would now give another result."""
_VERSIONS = ("trainwright-templates", "transformers", "jinja2")


def entry(source: str, special: Mapping[str, str], stops: Sequence[str], prefill: bool) -> Path:
    """The file of one result."""
    versions = [f"{name} {version(name)}" for name in _VERSIONS]
    key = json.dumps([REVISION, versions, source, sorted(special.items()), sorted(stops), prefill])
    return cache_folder() / "training-templates" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def load(file: Path) -> dict[str, Any] | None:
    """What the file holds; None where it is absent, unreadable or not whole."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and set(found) == {"text", "reason"}
    return found if whole and all(isinstance(value, str) for value in found.values()) else None


def store(file: Path, result: Mapping[str, str]) -> None:
    """Write a result, whole or not at all; a cache that cannot be written is no fault of the run."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(result))
    except OSError:
        return
