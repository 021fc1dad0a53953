"""A call's arguments where a format writes them as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .calls import Reading
from .jsons import Part, read_json
from .literal import load_json
from .source import Source, skip_space
from .tools import Tools

FENCE = re.compile(r"```(?:json)?\s*+")
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.S)


def read_arguments(
    source: Source, at: int, reading: Reading, tools: Tools, close: str, opening: re.Pattern[str]
) -> tuple[int, bool]:
    """Read the arguments at `at`, an object or a JSON string with one, perhaps in a code fence.

    Args:
        source: The text.
        at: Where they start.
        reading: What they are put into.
        tools: The tools that there are.
        close: The tag that ends the call; empty where the format has none.
        opening: What starts the next call.

    Returns:
        Where they end, a closing fence apart, and whether a fence was opened.
    """
    fence = FENCE.match(source.text, at)
    at = fence.end() if fence else at
    string = _STRING.match(source.text, at)
    if string:
        try:
            part = Part(load_json(string[0], strict=False), string.end(), "ok")
        except ValueError:
            part = Part(None, string.end(), "malformed", "neither JSON nor Python")
    else:
        part = read_json(source, at, close, opening)
    reading.status, reading.reason = part.status, part.reason
    if part.status in ("ok", "repaired"):
        fill_arguments(reading, part.value, tools)
        if fence:
            reading.slip("a code fence around the arguments")
    return part.end, fence is not None


def skip_fence(text: str, at: int) -> int:
    """Past the code fence that closes at `at`, if one does."""
    after = skip_space(text, at)
    return after + 3 if text.startswith("```", after) else at


def fill_arguments(reading: Reading, arguments: Any, tools: Tools) -> None:
    """Put `arguments` into a reading: an object, a string that holds one, or nothing where the tool needs nothing."""
    if isinstance(arguments, str):
        try:
            arguments = load_json(arguments) if arguments.strip() else None
        except ValueError:
            reading.fail("the arguments are a string that is not JSON")
            return
        reading.slip("the arguments are a JSON string")
    if arguments is None:
        if tools.needs_arguments(reading.name):
            reading.fail("the call has no arguments")
            return
        reading.slip("the call has no arguments, and its tool needs none")
        arguments = {}
    if not isinstance(arguments, Mapping):
        reading.fail("the arguments are not an object")
        return
    reading.arguments = dict(arguments)
    tools.note_unknown(reading)
