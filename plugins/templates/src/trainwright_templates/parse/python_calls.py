"""Calls written as a list of Python's: `[f(a=1), g(b="c")]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .calls import MAX_CALLS, Reading, Region, ToolCall
from .jsons import strict
from .literal import BadLiteralError, LiteralReader
from .source import Source, ends_inside, skip_space
from .tools import Tools

_NAME = r"(?P<name>[A-Za-z_][\w.\-]{0,127}+)\("
_CALL = re.compile(rf"\s*+{_NAME}")
_KEY = r"[^\s=,()'\"\[\]{}<>]++"
_KEYWORD = re.compile(rf"\s*+(?P<key>{_KEY})\s*+(?P<equals>=)\s*+")
_MORE = re.compile(rf"\s*+{_KEY}\s*+=")
_ENDED = re.compile(rf"\s*+(?:,\s*+{_KEY}\s*+=|\))")
# Where a value without escapes may end: at its quote (none: at once), and what must follow.
_GOES_ON = rf"(?:,\s*+(?P<key>{_KEY})\s*+=|\)\s*+(?:,\s*+{_NAME}|\]\s*+(?:<\||\[[A-Za-z_]|\Z)))"
_ENDS = {"": re.compile(_GOES_ON)} | {quote: re.compile(rf"{quote}\s*+{_GOES_ON}") for quote in "'\""}
# Where the last value does if text follows the list.
_LAST = {"": re.compile(r"\)\s*+\]")} | {quote: re.compile(rf"{quote}\s*+\)\s*+\]") for quote in "'\""}
_BARE = re.compile(r"[^,()\[\]{}'\"\n]++")


@dataclass(frozen=True)
class PythonCalls:
    """Reads `[name(key=value, …), …]`; the `read` of a `TaggedFormat`.

    Attributes:
        close: The tag that ends the list; empty where the list stands bare.
        verbatim: Whether strings stand as they are, between quotes or without any: such a string ends where the next
            keyword or the end of the call follows.
    """

    close: str = ""
    verbatim: bool = False

    def __call__(self, source: Source, match: re.Match[str], tools: Tools) -> Region | None:
        """The list of calls at `match`; None where it is something else in brackets."""
        start = match.start()
        at = skip_space(source.text, match.end() if self.close else start)
        if not self.close and not self._is_call(source, start, at + 1, tools):
            return None
        if self.close and at >= len(source.text):
            return _refused(source, start, len(source.text), "the text ends before the call", cut=True)
        if not source.text.startswith("[", at) and not _CALL.match(source.text, at):
            return None
        at += source.text.startswith("[", at)
        return self._read(source, start, at, tools)

    def _is_call(self, source: Source, start: int, at: int, tools: Tools) -> bool:
        call = _CALL.match(source.text, at)
        leads = not source.text[max(0, start - 64) : start].strip()
        return call is not None and (call["name"] in tools if tools else leads) and source.budget > 0

    def _read(self, source: Source, start: int, at: int, tools: Tools) -> Region | None:
        calls: list[ToolCall] = []
        text, begin = source.text, start
        while len(calls) <= MAX_CALLS and (call := _CALL.match(text, at)):
            reading = Reading(call["name"])
            try:
                at = self._arguments(source, call.end(), reading, tools)
            except BadLiteralError as error:
                return self._failed(source, begin, error, reading, calls)
            calls.append(reading.at(text, begin, at))
            begin = at
            following = skip_space(text, at)
            if not text.startswith(",", following):
                break
            at = following + 1
        return self._closed(source, start, at, calls)

    def _arguments(self, source: Source, at: int, reading: Reading, tools: Tools) -> int:
        """Read `key=value` up to the closing parenthesis; returns the place after it."""
        text = source.text
        reader = LiteralReader(text)
        while not text.startswith(")", at := skip_space(text, at)):
            if at >= len(text):
                raise BadLiteralError(at, cut=True)
            keyword = _KEYWORD.match(text, at)
            if keyword is None:
                raise BadLiteralError(at, cut=len(text) - at < 128 and _BARE.fullmatch(text, at) is not None)
            reading.arguments[keyword["key"]], at = self._value(source, keyword, reader, reading, tools)
            at = skip_space(text, at)
            if text.startswith(",", at):
                at += 1
            elif at < len(text) and text[at] != ")":
                if not _MORE.match(text, at):
                    raise BadLiteralError(at)
                reading.slip("a comma is missing")
        for slip in reader.slips:
            reading.slip(slip)
        tools.note_unknown(reading)
        return at + 1

    def _value(
        self, source: Source, keyword: re.Match[str], reader: LiteralReader, reading: Reading, tools: Tools
    ) -> tuple[Any, int]:
        if self.verbatim:
            return self._verbatim(source, keyword, reader, reading, tools)
        text, at = source.text, keyword.end()
        try:
            value, end = self._literal(source, at, reader)
            return self._typed(value, keyword["key"], reading, tools), end
        except BadLiteralError as error:
            bare = _BARE.match(text, at)
            if error.cut or bare is None or bare.end() >= len(text) or error.at != at:
                raise
            reading.slip("a string without quotes")
            return tools.typed(reading.name, keyword["key"], bare[0].strip()), bare.end()

    def _literal(self, source: Source, at: int, reader: LiteralReader) -> tuple[Any, int]:
        """The literal at `at`; lists and objects that are JSON by the standard library, which is much faster."""
        if source.text.startswith(("[", "{"), at) and source.budget > 0:
            if part := strict(source.text, at, len(source.text)):
                return part.value, part.end
            source.spend(4096)  # it may have been sought up to the text's end
        return reader.value(at)

    def _typed(self, value: Any, key: str, reading: Reading, tools: Tools) -> Any:
        """A quoted number or object where the schema has no string is what it spells."""
        types = tools.types(reading.name, key)
        if not isinstance(value, str) or not types or "string" in types:
            return value
        typed = tools.typed(reading.name, key, value)
        if typed is not value:
            reading.slip("a string where the schema has another type")
        return typed

    def _verbatim(
        self, source: Source, keyword: re.Match[str], reader: LiteralReader, reading: Reading, tools: Tools
    ) -> tuple[Any, int]:
        text, at, key = source.text, keyword.end(), keyword["key"]
        quote = text[at : at + 1]
        if quote in ("'", '"'):
            end = self._string_end(source, quote, at + 1, reading.name, tools)
            return self._typed(text[at + 1 : end], key, reading, tools), end + 1
        if "string" not in tools.types(reading.name, key):
            try:
                value, end = self._literal(source, at, reader)
                if _ENDED.match(text, end):
                    return value, end
            except BadLiteralError as error:
                if error.cut:
                    raise
        at = keyword.end("equals")
        end = self._string_end(source, "", at, reading.name, tools)
        reading.slip("a string without quotes")
        return tools.typed(reading.name, key, text[at:end]), end

    def _string_end(self, source: Source, quote: str, at: int, name: str, tools: Tools) -> int:
        """Where a string without escapes ends; a known tool's call goes on with its own parameters and known tools."""
        begin = at
        while end := source.search(_ENDS[quote], at):
            known = not end["name"] or not tools or end["name"] in tools
            if known and (not end["key"] or tools.takes(name, end["key"])):
                return end.start()
            at = end.start() + 1
        loose = source.search(_LAST[quote], begin)
        if loose is None:
            raise BadLiteralError(at, cut=True)
        return loose.start()

    def _failed(
        self, source: Source, begin: int, error: BadLiteralError, reading: Reading, calls: list[ToolCall]
    ) -> Region | None:
        """What was read before, and the call that has no reading; bare brackets that only begin like one are text."""
        shut = source.find(self.close, begin) if self.close else -1
        if error.cut and (shut == -1 or self.verbatim):
            reading.fail("the text ends inside the call", "truncated")
            return Region(len(source.text), (*calls, reading.at(source.text, begin, len(source.text))))
        if not self.close and not calls:
            source.spend(error.at - begin + 64)
            return None
        end = shut + len(self.close) if shut != -1 else max(error.at, begin + 1)
        reading.fail(f"not Python's spelling of a call at character {error.at}")
        return Region(end, (*calls, reading.at(source.text, begin, end)))

    def _closed(self, source: Source, start: int, at: int, calls: list[ToolCall]) -> Region | None:
        """Past the list's bracket and the closing tag."""
        text = source.text
        if not calls:
            return _refused(source, start, at, "no call in the list") if self.close else None
        at = skip_space(text, at)
        bracket = text.startswith("]", at)
        end = at + 1 if bracket else calls[-1].span[1]
        after = skip_space(text, end)
        tagged = not self.close or text.startswith(self.close, after)
        if self.close:
            end = after + len(self.close) if tagged else len(text) if ends_inside(text, self.close, after) else end
        last = calls[-1]
        reading = Reading(last.name, last.arguments, last.status, last.reason)
        if not bracket or not tagged:
            reading.slip("the list of calls is not closed")
        return Region(end, (*calls[:-1], reading.at(text, last.span[0], end)))


def _refused(source: Source, start: int, end: int, reason: str, *, cut: bool = False) -> Region:
    reading = Reading()
    reading.fail(reason, "truncated" if cut else "malformed")
    return reading.region(source.text, start, end)
