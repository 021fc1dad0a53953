"""The tools that a response may call: names, and the types that their JSON schemas give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .literal import WORDS, BadLiteralError, LiteralReader
from .source import skip_space

Schema = Mapping[str, Any]
_PYTHON = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict, "null": type(None)}


class Tools:
    """Schemas by tool name.

    Args:
        tools: What `apply_chat_template` takes: schemas (wrapped in `{"type": "function", "function": …}` or bare) and
            Python functions. What is neither is passed over: a parser never raises.
    """

    def __init__(self, tools: Iterable[Mapping[str, Any] | Callable[..., Any]] | None = None) -> None:
        self._schemas: dict[str, Schema] = {}
        for tool in tools or ():
            function = _function(tool)
            if isinstance(function.get("name"), str):
                parameters = function.get("parameters")
                self._schemas[function["name"]] = parameters if isinstance(parameters, Mapping) else {}

    def __bool__(self) -> bool:
        return bool(self._schemas)

    def __contains__(self, name: object) -> bool:
        return name in self._schemas

    def needs_arguments(self, name: str) -> bool:
        """Whether a call of `name` without arguments cannot be meant: unknown tools need them."""
        schema = self._schemas.get(name)
        return schema is None or bool(schema.get("required"))

    def parameter(self, name: str, key: str) -> Schema:
        """The schema of one parameter, empty where nothing is known of it."""
        properties = self._schemas.get(name, {}).get("properties")
        found = properties.get(key) if isinstance(properties, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def typed(self, name: str, key: str, text: str) -> Any:
        """The value that an untyped `text` (an XML parameter's) stands for.

        A parameter whose schema names a type gets that type where the text spells it, else the text itself. One
        without a schema gets JSON's reading if there is one, else the text.
        """
        types = schema_types(self.parameter(name, key))
        value = spelled(text)
        if not types:
            return value
        if "string" in types and not (value is None and "null" in types):
            return text
        return value if any(_is(value, kind) for kind in types) else text


def _function(tool: object) -> Mapping[str, Any]:
    if isinstance(tool, Mapping):
        inner = tool.get("function", tool)
        return inner if isinstance(inner, Mapping) else {}
    return _schema_of(tool) if callable(tool) else {}


def _schema_of(tool: Callable[..., Any]) -> Mapping[str, Any]:
    """A Python function's schema; where transformers cannot read its docstring, its name alone."""
    from transformers.utils import get_json_schema

    try:
        schema: Mapping[str, Any] = get_json_schema(tool)["function"]
    except Exception:  # get_json_schema raises its own kinds and whatever annotations raise
        return {"name": getattr(tool, "__name__", None)}
    return schema


def schema_types(schema: Schema) -> set[str]:
    """The JSON types that a schema allows; empty where it does not say."""
    kinds = schema.get("type")
    found = {kinds} if isinstance(kinds, str) else set(filter(_text, kinds)) if isinstance(kinds, list) else set()
    for branch in ("anyOf", "oneOf"):
        for option in schema.get(branch) or ():
            found |= schema_types(option) if isinstance(option, Mapping) else set()
    if not found and isinstance(schema.get("enum"), list):
        found = {kind for value in schema["enum"] for kind, python in _PYTHON.items() if type(value) is python}
    return found


def spelled(text: str) -> Any:
    """The value that `text` spells in JSON, or in Python where JSON has none; the text itself where neither has."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if text.strip() in WORDS:
        return WORDS[text.strip()]
    if text.lstrip()[:1] not in ("{", "["):
        return text
    reader = LiteralReader(text)
    try:
        value, end = reader.value(0)
    except (BadLiteralError, RecursionError):
        return text
    return value if not reader.slips and skip_space(text, end) == len(text) else text


def _text(value: object) -> bool:
    return isinstance(value, str)


def _is(value: Any, kind: str) -> bool:
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer" and isinstance(value, bool):
        return False
    return kind in _PYTHON and isinstance(value, _PYTHON[kind])
