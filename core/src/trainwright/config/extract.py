"""`python -m trainwright.config.extract FILE`: write the fields of TRL's config classes as JSON.

Run in a child process by `trainwright.config.fields`, because importing TRL imports torch. What is written: method →
{field → {"types": [...], "choices": [...], "default": ..., "help": ...}}. Types are `int`, `float`, `bool`, `str`,
`null`, `dict`, `list[...]`, `any`, and `object` for what YAML cannot write.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import re
import sys
import typing
from enum import Enum
from pathlib import Path
from typing import Any

from trainwright.config.words import alternatives, choices
from trainwright.trainer.methods import METHODS, Method

FORMAT = 1
"""Raised when what is written changes, so that older caches are not read."""

_NAMES = {int: "int", float: "float", bool: "bool", str: "str", type(None): "null", dict: "dict", Any: "any"}


def extract_all() -> dict[str, dict[str, Any]]:
    """Method → its fields. Imports TRL."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    return {method.name: extract(method) for method in METHODS.values()}


def extract(method: Method) -> dict[str, Any]:
    """The fields of one method's TRL config class that its constructor takes."""
    config = getattr(importlib.import_module(method.module), method.config)
    hints = typing.get_type_hints(config)
    return {field.name: _describe(field, hints[field.name]) for field in dataclasses.fields(config) if field.init}


def _describe(field: dataclasses.Field[Any], annotation: Any) -> dict[str, Any]:
    types = list(dict.fromkeys(name for member in alternatives(annotation) for name in _names(member)))
    named = list(field.metadata.get("choices") or choices(annotation))
    # TRL's `X = None` where the annotation forgets None
    if field.default is None and "null" not in types:
        types.append("null")
    text = re.sub(r"\s+", " ", str(field.metadata.get("help") or "")).replace("%%", "%").strip()
    return {"types": types, "choices": named, "default": _default(field), "help": text}


def _names(member: Any) -> list[str]:
    origin = typing.get_origin(member) or member
    if origin is typing.Literal:
        return [_NAMES[type(value)] for value in typing.get_args(member)]
    if origin is list:
        inner = typing.get_args(member) or (Any,)
        return [f"list[{_names(inner[0])[0]}]"]
    if isinstance(origin, type) and issubclass(origin, Enum):
        return ["str"]
    return [_NAMES.get(origin, "object")]


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        value = None if field.default is dataclasses.MISSING else field.default
    if isinstance(value, Enum):
        value = value.value
    return value if isinstance(value, str | int | float | bool | list | dict) else None


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps({"format": FORMAT, "methods": extract_all()}), encoding="utf-8")
