"""Calls written as JSON objects: alone, in a list, or one after the other, between tags or without any."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .arguments import FENCE, fill_arguments, skip_fence
from .calls import MAX_CALLS, Reading, Region, ToolCall
from .jsons import Part, read_json
from .source import Source, ends_inside, skip_space
from .tools import Tools

_NAMES = ("name", "tool_name", "function", "tool")
_ARGUMENTS = ("arguments", "parameters", "args", "tool_input")
_START = re.compile(r"\{|\[\s*+(?:\{|\Z)|```")
_TAIL = re.compile(r"\s*+\]?+\s*+")
_HEAD = re.compile(r'\[?\s*\{\s*"(?:name|type)"\s*:')
_BETWEEN = re.compile(r"[\s,;]*+")


@dataclass(frozen=True)
class JsonCalls:
    """Reads calls in JSON after an opening; the `read` of a `TaggedFormat`.

    Attributes:
        opening: What starts a block of calls.
        close: The tag that ends it; empty where the format has none.
        keyed: Whether a call is `{name: arguments}`.
        bare: Whether the opening is the JSON itself; such text is a call only where it reads like one.
    """

    opening: re.Pattern[str]
    close: str = ""
    keyed: bool = False
    bare: bool = False

    def __call__(self, source: Source, match: re.Match[str], tools: Tools) -> Region | None:
        """The calls from `match` on; None where it is plain text that mentions the opening."""
        block = _Block(self, source, tools, match)
        if block.empty():
            return block.region
        if not _START.match(source.text, block.at):
            return None
        block.read()
        return block.region


class _Block:
    """One block of calls while it is read."""

    def __init__(self, form: JsonCalls, source: Source, tools: Tools, match: re.Match[str]) -> None:
        self.form, self.source, self.tools = form, source, tools
        self.begin = self.start = match.start()
        self.fenced = "```" in match[0]
        self.calls: list[ToolCall] = []
        self.region: Region | None = None
        self.slip = ""
        self.at = skip_space(source.text, match.end())
        if not form.bare and (again := form.opening.match(source.text, self.at)):
            self.slip = "the opening tag is written twice"
            self.at = skip_space(source.text, again.end())

    def empty(self) -> bool:
        """Whether nothing stands after the opening; `region` then says so."""
        text, close = self.source.text, self.form.close
        if self.at >= len(text):
            self._refuse(len(text), "truncated", "the text ends before the call")
        elif close and text.startswith(close, self.at):
            self._refuse(self.at + len(close), "malformed", "nothing between the tags")
        return self.region is not None

    def _refuse(self, end: int, status: Any, reason: str) -> None:
        reading = Reading()
        reading.fail(reason, status)
        self.region = reading.region(self.source.text, self.start, end)

    def read(self) -> None:
        """Read object after object up to the closing tag or to what is no call."""
        at = self._open_list(self._fence(self.at))
        while len(self.calls) <= MAX_CALLS:
            part = read_json(self.source, at, self.form.close, self.form.opening if not self.form.bare else None)
            if self.form.bare and not self._is_call(part):
                break
            self._add(part)
            at = self._after(part)
            if part.status in ("truncated", "malformed") or not self.source.text.startswith("{", at):
                break
            self.start = at
        if self.calls:
            self._finish()

    def _fence(self, at: int) -> int:
        fence = FENCE.match(self.source.text, at) if self.source.text.startswith("`", at) else None
        if fence is None:
            return at
        self.slip, self.fenced = "a code fence around the call", True
        return fence.end()

    def _open_list(self, at: int) -> int:
        inside = skip_space(self.source.text, at + 1)
        opened = self.source.text.startswith("[", at) and self.source.text.startswith("{", inside)
        return inside if opened else at

    def _is_call(self, part: Part) -> bool:
        """Whether bare JSON reads like a call: without tags, it must have the keys and, if they are known, the name."""
        if part.status == "truncated":
            head = _HEAD.match(self.source.text, self.at)
            return head is not None and (bool(self.calls) or self._leads())
        function = _inner(part.value) if isinstance(part.value, Mapping) else {}
        name = next((function[key] for key in _NAMES if isinstance(function.get(key), str)), None)
        has_arguments = any(key in function for key in _ARGUMENTS)
        return name is not None and has_arguments and (self._leads() or not self.tools or name in self.tools)

    def _leads(self) -> bool:
        """Whether the call stands at the start of the text, or after a tag or fence of its own."""
        return self.at > self.begin or not self.source.text[max(0, self.begin - 64) : self.begin].strip()

    def _add(self, part: Part) -> None:
        reading = call_reading(part, self.tools, keyed=self.form.keyed)
        if self.slip:
            reading.slip(self.slip)
        self.calls.append(reading.at(self.source.text, self.start, part.end))

    def _after(self, part: Part) -> int:
        match = _BETWEEN.match(self.source.text, part.end)
        return match.end() if match else part.end

    def _finish(self) -> None:
        """Past the closing tag, which belongs to the last call; what it lacks or what precedes it is a slip."""
        text, last = self.source.text, self.calls[-1]
        end = last.span[1]
        if last.status != "truncated":
            end = self._closing(end)
        start = last.span[0]
        self.calls[-1] = replace(self.calls[-1], raw=text[start:end], span=(start, end))
        self.region = Region(end, tuple(self.calls))

    def _closing(self, end: int) -> int:
        text, close = self.source.text, self.form.close
        tail = _TAIL.match(text, end)
        after = tail.end() if tail else end
        after = skip_space(text, skip_fence(text, after)) if self.fenced else after
        if not close:
            return len(text[:after].rstrip()) if after > end else end
        if text.startswith(close, after):
            return after + len(close)
        shut = self.source.find(close, end)
        following = self.source.search(self.form.opening, end)
        if shut != -1 and shut - end <= 16 and (following is None or shut < following.start()):
            self._slip_last("text between the call and its closing tag")
            return shut + len(close)
        if self.calls[-1].usable:
            self._slip_last("the closing tag is missing")
        return len(text) if ends_inside(text, close, after) else end

    def _slip_last(self, reason: str) -> None:
        call = self.calls[-1]
        if call.status == "ok":
            self.calls[-1] = replace(call, status="repaired", reason=reason)


def _inner(value: Mapping[str, Any]) -> Mapping[str, Any]:
    function = value.get("function")
    return function if isinstance(function, Mapping) else value


def call_reading(part: Part, tools: Tools, *, keyed: bool = False) -> Reading:
    """The call that a JSON value stands for."""
    reading = Reading(status=part.status, reason=part.reason)
    if not isinstance(part.value, Mapping):
        if part.status in ("ok", "repaired"):
            reading.fail("not a JSON object")
        return reading
    if keyed and len(part.value) == 1:
        ((name, arguments),) = part.value.items()
    else:
        function = _inner(part.value)
        name = next((function[key] for key in _NAMES if isinstance(function.get(key), str)), "")
        arguments = next((function[key] for key in _ARGUMENTS if key in function), None)
    if not name:
        reading.fail("the call has no name")
        return reading
    reading.name = name
    fill_arguments(reading, arguments, tools)
    return reading
