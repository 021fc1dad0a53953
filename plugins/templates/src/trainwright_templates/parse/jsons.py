"""JSON out of the middle of a text: string-aware, linear, and repaired where one reading is left."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from .calls import Status
from .literal import MAX_DEPTH, BadLiteralError, LiteralReader, load_json, sound
from .source import Source

# All that may stand between two brackets: strings, numbers, words, separators. What follows is a bracket, or no JSON.
_BETWEEN = r'(?:[\s,:\w.+-]++|"(?:[^"\\]++|\\.)*+")*+'
_STEP = re.compile(_BETWEEN + r"([\[\]{}])?+", re.S)
MAX_BRACKETS = 100_000  # in one value that is not JSON as it stands
_DECODER = json.JSONDecoder()
_MATCHING = {"]": "[", "}": "{"}


@dataclass(frozen=True)
class Part:
    """A value read from a text.

    Attributes:
        value: The value; None unless `status` is `ok` or `repaired`.
        end: Where it ends, or where reading stopped.
        status: As of a `ToolCall`.
        reason: What was repaired or wrong.
    """

    value: Any
    end: int
    status: Status
    reason: str = ""


def read_json(source: Source, start: int, close: str = "", opening: re.Pattern[str] | None = None) -> Part:
    """The JSON value at `start`.

    Args:
        source: The text.
        start: Where the value starts.
        close: The tag that ends the call; empty where the format has none.
        opening: What starts the next call: a call that is not closed before it has no end tag.
    """
    until = _limit(source, start, opening)
    if part := strict(source.text, start, until):
        return part
    stop, end = balanced(source.text, start, until)
    if end == "cut":
        source.spend(stop - start)
    if end == "whole":
        return _loaded(source, start, stop)
    shut = source.find(close, start if end == "cut" else stop) if close else -1
    following = source.search(opening, stop if end == "bad" else start + 1) if opening else None
    if shut != -1 and (following is None or shut < following.start()):
        part = _repaired(source, start, shut, closed=True)
        return Part(None, len(source.text), "truncated", part.reason) if part.status == "truncated" else part
    if end == "cut":
        if following is None:
            if source.ended:
                part = _repaired(source, start, len(source.text), closed=True)
                if part.status == "repaired":
                    return part
            return Part(None, len(source.text), "truncated", "the text ends inside the arguments")
        return Part(None, following.start(), "malformed", "the value is not closed before the next call")
    part = _repaired(source, start, following.start() if following else len(source.text), closed=False)
    return part if part.status != "malformed" else Part(None, max(stop, start + 1), "malformed", part.reason)


Extent = tuple[int, Literal["whole", "cut", "bad"]]


def _limit(source: Source, start: int, opening: re.Pattern[str] | None) -> int:
    """Where a value must have ended: values that do not end have a budget, and then the next opening ends them."""
    following = source.search(opening, start + 1) if opening and source.budget < 0 else None
    return following.start() if following else len(source.text)


def strict(text: str, start: int, until: int) -> Part | None:
    """The value at `start` if it is JSON as it stands, by the standard library, which is fast; None where it is not."""
    within, at = (text, start) if until == len(text) else (text[start:until], 0)
    try:
        value, end = _DECODER.raw_decode(within, at)
        return Part(sound(value, within[at:end]), start + end - at, "ok")
    except (ValueError, RecursionError):
        return None


def balanced(text: str, start: int, until: int | None = None) -> Extent:
    """Where the object or list at `start` ends by its brackets, quoted ones apart.

    Returns:
        The end and `whole`; the end of the text, or `until`, and `cut` if that comes first; or where it stops to be
        JSON and `bad`.
    """
    open_brackets: list[str] = []
    at, until = start, len(text) if until is None else until
    for count, step in enumerate(_STEP.finditer(text, start, until)):
        bracket, at = step[1], step.end()
        if bracket is None:
            break
        if bracket in "{[":
            open_brackets.append(bracket)
            if len(open_brackets) > MAX_DEPTH or count > MAX_BRACKETS:
                return at, "bad"
        elif not open_brackets or open_brackets.pop() != _MATCHING[bracket]:
            return at, "bad"
        elif not open_brackets:
            return at, "whole"
    cut = at >= until or text[at] == '"'
    return (until, "cut") if cut else (at, "bad")


def _loaded(source: Source, start: int, stop: int) -> Part:
    try:  # a newline or tab written into a string as it is
        value = load_json(source.text[start:stop], strict=False)
        return Part(value, stop, "repaired", "control characters inside a string")
    except ValueError:
        return _repaired(source, start, stop, closed=False)


def _repaired(source: Source, start: int, stop: int, *, closed: bool) -> Part:
    """The one reading of text that is not JSON, up to `stop`; `closed` where the call's end tag stands there."""
    if not source.spend(min(stop - start, 1024)):
        return Part(None, stop, "malformed", "too much text to repair")
    reader = LiteralReader(source.text, stop, close=closed, loose=True)
    try:
        value, end = reader.value(start)
    except BadLiteralError as error:
        source.spend(error.at - start)
        at_end = error.cut and stop == len(source.text)
        unclosed = error.cut and closed and balanced(source.text, start)[1] == "cut" and error.at < stop
        if at_end or unclosed:
            return Part(None, len(source.text), "truncated", "the text ends inside the arguments")
        return Part(None, stop, "malformed", f"neither JSON nor Python from character {error.at}")
    source.spend(end - start)
    return Part(value, end, "repaired", ", ".join(dict.fromkeys(reader.slips)) or "Python's spelling instead of JSON's")
