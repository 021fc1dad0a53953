"""The tools that a response may call: names, and the types that their JSON schemas give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .calls import Reading
from .literal import WORDS, BadLiteralError, LiteralReader, load_json
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
        self._types = {
            (name, key): schema_types(self.parameter(name, key))
            for name, schema in self._schemas.items()
            if isinstance(properties := schema.get("properties"), Mapping)
            for key in properties
        }

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

    def types(self, name: str, key: str) -> set[str]:
        """The JSON types of one parameter, empty where nothing is known of them."""
        return self._types.get((name, key)) or set()

    def takes(self, name: str, key: str) -> bool:
        """Whether a call of `name` may have a parameter `key`: what is not known may be."""
        properties = self._schemas.get(name, {}).get("properties")
        return key in properties if isinstance(properties, Mapping) else True

    def typed(self, name: str, key: str, text: str) -> Any:
        """The value that a parameter's untyped `text` stands for, see `typed_as`."""
        return typed_as(self.parameter(name, key), text)

    def require_arguments(self, reading: Reading) -> None:
        """Refuse a call without a single argument whose tool needs some."""
        if not reading.arguments and reading.name in self and self.needs_arguments(reading.name):
            reading.fail("the call has no arguments")

    def note_unknown(self, reading: Reading) -> None:
        """Say where no tool has the call's name; it stays a call, as the tool loop answers such ones."""
        if self and reading.name not in self:
            reading.reason = reading.reason or "no tool has this name"


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


def typed_as(schema: Schema, text: str) -> Any:
    """The value that an untyped `text` stands for.

    Where the schema names a type, the text gets it if it spells it, else stays as it is. Without a schema it gets
    JSON's reading if there is one, else stays as it is.
    """
    types = schema_types(schema)
    if "string" in types:
        return None if "null" in types and spelled(text) is None else text
    value = spelled(text)
    if not types:
        return value
    return value if any(_is(value, kind) for kind in types) else text


def schema_types(schema: Schema) -> set[str]:
    """The JSON types that a schema allows; empty where it does not say."""
    kinds = schema.get("type")
    found = {kinds} if isinstance(kinds, str) else set(filter(_text, kinds)) if isinstance(kinds, list) else set()
    for branch in ("anyOf", "oneOf", "allOf"):
        options = schema.get(branch)
        for option in options if isinstance(options, list | tuple) else ():
            found |= schema_types(option) if isinstance(option, Mapping) else set()
    if not found and isinstance(schema.get("enum"), list):
        found = {kind for value in schema["enum"] for kind, python in _PYTHON.items() if type(value) is python}
    return found


def spelled(text: str) -> Any:
    """The value that `text` spells in JSON, or in Python where JSON has none; the text itself where neither has."""
    try:
        return load_json(text)
    except ValueError:
        pass
    if text.strip() in WORDS:
        return WORDS[text.strip()]
    if text.lstrip()[:1] not in ("{", "["):
        return text
    reader = LiteralReader(text)
    try:
        value, end = reader.value(0)
    except BadLiteralError:
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
