"""Calls in Gemma 4's spelling: `call:f{a:1,b:<|"|>text<|"|>}`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .calls import Reading, Region
from .literal import BadLiteralError, LiteralReader
from .source import Source, ends_inside, skip_space
from .tools import Tools


@dataclass(frozen=True)
class GemmaCalls:
    """Reads Gemma 4's `call:name{key:value}`; the `read` of a `TaggedFormat`.

    Attributes:
        opening: The call's opening, with the name as group `name`; it ends before the brace.
        close: The call's closing tag.
    """

    opening: re.Pattern[str]
    close: str

    def __call__(self, source: Source, match: re.Match[str], tools: Tools) -> Region | None:
        """The call at `match`."""
        text, reading = source.text, Reading(match["name"])
        reader = LiteralReader(text)
        try:
            reading.arguments, end = reader.value(match.end())
        except BadLiteralError as error:
            return self._failed(source, match, reading, error)
        for slip in reader.slips:
            reading.slip(slip)
        tools.note_unknown(reading)
        after = skip_space(text, end)
        if text.startswith(self.close, after):
            end = after + len(self.close)
        else:
            reading.slip("the closing tag is missing")
            end = len(text) if ends_inside(text, self.close, after) else end
        return reading.region(text, match.start(), end)

    def _failed(self, source: Source, match: re.Match[str], reading: Reading, error: BadLiteralError) -> Region:
        start = match.start()
        if error.cut:
            reading.fail("the text ends inside the call", "truncated")
            return reading.region(source.text, start, len(source.text))
        following = source.search(self.opening, error.at)
        shut = source.find(self.close, error.at)
        tagged = shut != -1 and (following is None or shut < following.start())
        end = shut + len(self.close) if tagged else max(error.at, match.end())
        reading.fail(f"not Gemma's spelling of a call at character {error.at}")
        return reading.region(source.text, start, end)
