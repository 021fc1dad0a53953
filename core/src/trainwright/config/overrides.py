"""`key.sub=value` on the command line: the value is read as YAML, list items are numbers (`metrics.0.name=mfu`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainwright.config.findings import dotted, locate, models_in
from trainwright.config.models import SHORTHANDS, RunConfig
from trainwright.config.source import Source, read_text
from trainwright.config.words import got
from trainwright.errors import ConfigError, Problem, UsageError

PLACE = "command line"


def apply_overrides(source: Source, overrides: Sequence[str]) -> None:
    """Set each override in the source's values, in order; an empty value is null.

    Raises:
        UsageError: Where an override is not of the form `key=value`.
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise UsageError(f"`{override}` is no override", where=PLACE, remedy="Write `key.sub=value`.")
        try:
            value = _value(text, source)
            _put(source.values, parts, value)
        except ConfigError as error:
            message, remedy = error.problems[0].message, error.problems[0].remedy
            source.problems.append(Problem(message, f"{PLACE}: {dotted(*parts)}", remedy))
            continue
        _move_place(source, dotted(*parts))


def _value(text: str, source: Source) -> Any:
    if not text.strip():
        return None
    parsed = read_text(text, PLACE)
    source.problems += parsed.problems
    return parsed.values


def _move_place(source: Source, key: str) -> None:
    """The command line is now the place of `key`; what stood below it in the file is gone."""
    parts = key.split(".")
    for depth in range(1, len(parts)):  # sections that were made on the way
        source.places.setdefault(dotted(*parts[:depth]), PLACE)
    for known in [known for known in source.places if known.startswith(f"{key}.")]:
        del source.places[known]
    source.places[key] = PLACE


def _put(values: Any, parts: Sequence[str], value: Any) -> None:
    """Set a value deep inside nested mappings and lists, making those that are missing on the way.

    Raises:
        ConfigError: Where the way leads through a plain value, or past the end of a list.
    """
    node = values
    for depth, part in enumerate(parts[:-1], start=1):
        child = _get(node, part, parts[:depth])
        if child is None:
            child = [] if parts[depth].isdigit() else {}
        elif not isinstance(child, dict) and not (isinstance(child, list) and parts[depth].isdigit()):
            child = _spelt_out(child, parts[:depth], parts[depth])
        _set(node, part, child, parts[:depth])
        node = child
    _set(node, parts[-1], value, parts)


def _get(node: Any, part: str, parts: Sequence[str]) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    index = _index(node, part, parts)
    return node[index] if index < len(node) else None


def _set(node: Any, part: str, value: Any, parts: Sequence[str]) -> None:
    if isinstance(node, dict):
        node[part] = value
    elif _index(node, part, parts) == len(node):
        node.append(value)
    else:
        node[int(part)] = value


def _index(node: list[Any], part: str, parts: Sequence[str]) -> int:
    if not part.isdigit() or int(part) > len(node):
        message = f"`{dotted(*parts[:-1])}` is a list of {len(node)}, so it has no item `{part}`"
        raise ConfigError([Problem(message, remedy=f"Items are 0 to {len(node)}; {len(node)} appends one.")])
    return int(part)


def _spelt_out(value: Any, parts: Sequence[str], wanted: str) -> dict[str, Any]:
    """`chunked_nll` → `{name: chunked_nll}` where the config takes that shorthand."""
    location = [int(part) if part.isdigit() else part for part in parts]
    for model in models_in(locate(RunConfig, location).annotation):
        if model in SHORTHANDS:
            return {SHORTHANDS[model]: value}
    key = dotted(*parts)
    if isinstance(value, list):
        _index(value, wanted, (*parts, wanted))
    raise ConfigError([Problem(f"`{key}` holds {got(value)}, so it has no `{wanted}`", remedy=f"Set `{key}` itself.")])
