"""Calls written as tags: a name, then a tag around each parameter's value as plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .calls import Reading, Region
from .source import Source, skip_space
from .tools import Tools, spelled


@dataclass(frozen=True)
class TaggedCalls:
    """Reads one call a match; the `read` of a `TaggedFormat`.

    A value may hold closing tags: it ends at the last one that another parameter or the call's end follows, so only a
    value that spells the whole sequence is taken for more than it is.

    Attributes:
        opening: The call's opening, with the name as group `name`.
        parameter: A parameter's opening, with its name as group `key`; a group `string` says `true` or `false` where
            the format marks strings.
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
        at = skip_space(source.text, match.end())
        while parameter := self.parameter.match(source.text, at):
            end = self._value_end(source, parameter.end())
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
        return self._region(source, match, reading, boundary)

    def _boundary(self, source: Source, at: int) -> int:
        """Where the next call starts, or the text ends: what is cut stops there."""
        following = source.search(self.opening, at)
        return following.start() if following else len(source.text)

    def _value_end(self, source: Source, start: int) -> int | None:
        """Where the value from `start` on ends: the first closing tag that a parameter or the call's end follows."""
        boundary = self._boundary(source, start)
        at = source.find(self.shut, start)
        first = None
        while at != -1 and at < boundary:
            first = at if first is None else first
            after = skip_space(source.text, at + len(self.shut))
            if self.parameter.match(source.text, after) or self._closes(source.text, after):
                return self._last(source, at, boundary)
            at = source.find(self.shut, at + 1)
        return first if first is not None and self._at_end(source, first, boundary) else None

    def _last(self, source: Source, at: int, boundary: int) -> int:
        """The last place with the same right to end the call: a value may itself spell a whole call's end."""
        text = source.text
        after = skip_space(text, at + len(self.shut))
        if self.parameter.match(text, after):
            return at
        final = text.rfind(self.shut, at, boundary)
        while final > at:
            if self._closes(text, skip_space(text, final + len(self.shut))):
                return final
            final = text.rfind(self.shut, at, final)
        return at

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
            if not reading.arguments and tools and tools.needs_arguments(reading.name) and reading.name in tools:
                reading.fail("the call has no arguments")
            return self._region(source, match, reading, self._outer(text, end))
        if at >= len(text) or self._half_tag(text, at):
            reading.fail("the text ends inside the call", "truncated")
            return self._region(source, match, reading, len(text))
        if not reading.arguments:
            return self._mention(source, match, reading)
        boundary = self._boundary(source, at)
        reading.fail("text between the parameters" if boundary < len(text) else "the call is not closed")
        return self._region(source, match, reading, self._after_close(source, at, boundary))

    def _mention(self, source: Source, match: re.Match[str], reading: Reading) -> Region | None:
        """Text after the header that is no parameter: a faulty call if closing tags follow, else a mention."""
        boundary = self._boundary(source, match.end())
        shut = source.find(self.close[0], match.end())
        if shut == -1 or shut >= boundary:
            return None
        reading.fail("no parameters between the tags")
        return self._region(source, match, reading, self._outer(source.text, self._closes(source.text, shut)))

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

    def _region(self, source: Source, match: re.Match[str], reading: Reading, end: int) -> Region:
        return Region(end, (reading.at(source.text, match.start(), end),))


_WHOLE_TAG = re.compile(r"<[^<>]*+>")
