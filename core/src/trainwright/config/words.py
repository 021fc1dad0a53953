"""Types, values and near misses in a user's words."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

_SINGULAR = {
    int: "a whole number",
    float: "a number",
    bool: "`true` or `false`",
    str: "text",
    Path: "a path",
    dict: "a mapping",
    list: "a list",
}
_MOST = 12
_PLURAL = {int: "whole numbers", float: "numbers", bool: "`true` or `false`", str: "texts", dict: "mappings"}


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, without `Annotated`; any other annotation alone."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(member for part in get_args(annotation) for member in alternatives(part))
    return (annotation,)


def choices(annotation: Any) -> list[str]:
    """The texts that an annotation names (`Literal`, `Enum`); empty where any text will do."""
    found: list[str] = []
    for member in alternatives(annotation):
        if get_origin(member) is Literal:
            found += [value for value in get_args(member) if isinstance(value, str)]
        elif isinstance(member, type) and issubclass(member, Enum):
            found += [str(item.value) for item in member]
    return found


def expected(annotation: Any) -> str:
    """What a key takes: `a whole number`, `one of none, all, lora_only`, `a list of texts`."""
    named = choices(annotation)
    phrases = [f"one of {', '.join(named[:_MOST])}{', …' if len(named) > _MOST else ''}"] if named else []
    members = [member for member in alternatives(annotation) if member is not type(None)]
    phrases += [phrase for phrase in map(_phrase, members) if phrase]
    return " or ".join(dict.fromkeys(phrases)) or "another value"


def _phrase(member: Any) -> str:
    origin = get_origin(member) or member
    if origin in (list, tuple, set, frozenset):
        inner = next(iter(alternatives(next(iter(get_args(member)), Any))))
        return f"a list of {_PLURAL[inner]}" if inner in _PLURAL else "a list"
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        return "a mapping"
    return _SINGULAR.get(origin, "")


def got(value: Any) -> str:
    """What stands there instead: `the text '16'`, `a list`, `nothing`."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value if len(value) <= 60 else value[:57] + '...'!r}"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely a slip of, or None."""
    lowered = {other.lower(): other for other in known}
    begun = [low for low in lowered if name and low.startswith(name.lower())]
    near = begun or difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[near[0]] if near else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """`Did you mean x?` where one is near; else the known names, where they are few."""
    known = sorted(known)
    near = nearest(name, known)
    if near:
        return f"Did you mean `{near}`?"
    return f"Known: {', '.join(known)}." if 0 < len(known) <= _MOST else ""
