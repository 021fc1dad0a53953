"""Calls written as tags: a name, then a tag around each parameter's value as plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from .calls import Reading, Region
from .source import Source, skip_space
from .tools import Tools, spelled

_DOUBLED = re.compile(r"(<[^<>]{1,64}>)\s*+\1")
_WHOLE_TAG = re.compile(r"<[^<>]*+>")


@dataclass(frozen=True)
class TaggedCalls:
    """Reads one call a match; the `read` of a `TaggedFormat`.

    A value may hold tags. It ends at the closing tag that another parameter follows, or the call's end does and nothing
    of the kind before the next call; and after every whole call that it spells.

    Attributes:
        opening: The call's opening, with the name as group `name`.
        parameter: A parameter's opening, with its name as group `key`; a group `string` says `true` or `string`
            where the format marks strings, something else otherwise.
        shut: A parameter's closing tag.
        close: The call's closing tags, each of which white space may precede.
        cdata: Whether a value may stand in `<![CDATA[…]]>`.
        framed: Whether a line break inside the tags belongs to the frame.
        outer: What may end a block of calls; it belongs to the last of them.
    """

    opening: re.Pattern[str]
    parameter: re.Pattern[str]
    shut: str
    close: tuple[str, ...]
    framed: bool = False
    cdata: bool = False
    outer: tuple[str, ...] = ()

    def __call__(self, source: Source, match: re.Match[str], tools: Tools) -> Region | None:
        """The call at `match`, read parameter by parameter."""
        reading = Reading(match["name"].strip())
        if _DOUBLED.match(match[0]):
            reading.slip("the opening tag is written twice")
        at = skip_space(source.text, match.end())
        while parameter := self.parameter.match(source.text, at):
            end = self._value_end(source, parameter.end())
            end = self._around_calls(source, parameter.end()) if end is None else end
            if end is None:
                return self._unclosed(source, match, reading, self._boundary(source, parameter.end()))
            self._keep(reading, parameter, source.text[parameter.end() : end], tools)
            at = skip_space(source.text, end + len(self.shut))
        return self._end(source, match, reading, at, tools)

    def _unclosed(self, source: Source, match: re.Match[str], reading: Reading, boundary: int) -> Region:
        if boundary == len(source.text):
            reading.fail("the text ends inside a value", "truncated")
        else:
            reading.fail("a value is not closed before the next call")
        return reading.region(source.text, match.start(), boundary)

    def _boundary(self, source: Source, at: int) -> int:
        """Where the next call starts, or the text ends: what is cut stops there."""
        following = source.search(self._call, at)
        return following.start() if following else len(source.text)

    @cached_property
    def _call(self) -> re.Pattern[str]:
        """An opening that starts a call, and is not just mentioned."""
        inside = rf"{_unnamed(self.parameter)}|{re.escape(self.close[0])}"
        return re.compile(rf"(?:{_unnamed(self.opening)})(?=\s*+(?:{inside}))")

    @cached_property
    def _edge(self) -> re.Pattern[str]:
        """Where a call starts (group `call`) or ends, with the last value's closing tag (`last`), or a value does."""
        shut, close = re.escape(self.shut), re.escape(self.close[0])
        value = rf"(?P<value>{shut})(?=\s*+{_unnamed(self.parameter)})"
        return re.compile(rf"(?P<call>{self._call.pattern})|{value}|(?P<last>{shut}\s*+)?{close}")

    def _value_end(self, source: Source, start: int) -> int | None:
        """Where the value from `start` on ends.

        At the first closing tag that a parameter follows, else at the last that the call's end follows.
        """
        boundary = self._boundary(source, start)
        at = source.find(self.shut, start)
        first = last = None
        while at != -1 and at < boundary:
            first = at if first is None else first
            after = skip_space(source.text, at + len(self.shut))
            if self.parameter.match(source.text, after):
                return at
            last = at if self._closes(source.text, after) else last
            at = source.find(self.shut, at + 1)
        if last is not None:
            return last
        return first if first is not None and self._at_end(source, first, boundary) else None

    def _around_calls(self, source: Source, start: int) -> int | None:
        """Where a value ends that spells whole calls: where that of none of them does."""
        depth = 1
        for edge in self._edge.finditer(source.text, start):
            if not source.spend(edge.end() - start):
                return None
            start = edge.end()
            if edge["call"]:
                depth += 1
            elif depth == 1 and (edge["value"] or edge["last"]):
                return edge.start()
            elif depth > 1 and not edge["value"]:
                depth -= 1
        source.spend(len(source.text) - start)
        return None

    def _at_end(self, source: Source, at: int, boundary: int) -> bool:
        return skip_space(source.text, at + len(self.shut)) >= len(source.text) and boundary == len(source.text)

    def _closes(self, text: str, at: int) -> int:
        """The end of the call's closing tags at `at`, 0 where none of them is there; the first may be missing."""
        end = 0
        for tag in self.close:
            if text.startswith(tag, at):
                end = at + len(tag)
                at = skip_space(text, end)
        return end

    def _keep(self, reading: Reading, parameter: re.Match[str], text: str, tools: Tools) -> None:
        if self.framed:
            text = text.removeprefix("\n").removesuffix("\n")
        if self.cdata and text.startswith("<![CDATA[") and text.endswith("]]>"):
            text = text[9:-3]
        key = parameter["key"].strip()
        if key in reading.arguments:
            reading.slip("a parameter is written twice")
        string = parameter.groupdict().get("string")
        if string is None:
            reading.arguments[key] = tools.typed(reading.name, key, text)
        else:
            reading.arguments[key] = text if string in ("true", "string") else spelled(text)

    def _end(self, source: Source, match: re.Match[str], reading: Reading, at: int, tools: Tools) -> Region | None:
        text = source.text
        end = self._closes(text, at)
        if end:
            missing = not text.startswith(self.close[-1], end - len(self.close[-1]))
            if missing:
                reading.slip("a closing tag is missing")
            tools.require_arguments(reading)
            tools.note_unknown(reading)
            return reading.region(source.text, match.start(), self._outer(text, end))
        if at >= len(text) or self._half_tag(text, at):
            reading.fail("the text ends inside the call", "truncated")
            return reading.region(source.text, match.start(), len(text))
        if not reading.arguments:
            return self._mention(source, match, reading)
        boundary = self._boundary(source, at)
        reading.fail("text between the parameters" if boundary < len(text) else "the call is not closed")
        return reading.region(source.text, match.start(), self._after_close(source, at, boundary))

    def _mention(self, source: Source, match: re.Match[str], reading: Reading) -> Region | None:
        """Text after the header that is no parameter: a faulty call if closing tags follow, else a mention."""
        boundary = self._boundary(source, match.end())
        shut = source.find(self.close[0], match.end())
        if shut == -1 or shut >= boundary:
            return None
        reading.fail("no parameters between the tags")
        return reading.region(source.text, match.start(), self._outer(source.text, self._closes(source.text, shut)))

    def _after_close(self, source: Source, at: int, boundary: int) -> int:
        shut = source.find(self.close[0], at)
        return self._closes(source.text, shut) if shut != -1 and shut < boundary else boundary

    def _half_tag(self, text: str, at: int) -> bool:
        """Whether the text ends inside a tag."""
        rest = text[at : at + 256]
        return len(rest) < 256 and rest.startswith(("<", "]", "</")) and not _WHOLE_TAG.match(rest)

    def _outer(self, text: str, end: int) -> int:
        after = skip_space(text, end)
        closing = next((tag for tag in self.outer if text.startswith(tag, after)), None)
        return after + len(closing) if closing else end


def _unnamed(pattern: re.Pattern[str]) -> str:
    """A pattern's text, to be put into another one."""
    return re.sub(r"\(\?P<\w+>", "(?:", pattern.pattern)
