"""Calls written as a name in a header and the arguments as one JSON object."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .arguments import fill_arguments, read_arguments, skip_fence
from .calls import Reading, Region
from .source import Source, ends_inside, skip_space
from .tools import Tools


@dataclass(frozen=True)
class HeadedCalls:
    """Reads one call a match; the `read` of a `TaggedFormat`.

    Attributes:
        opening: The header, with the name as group `name`.
        close: What ends the call; empty where nothing does.
        outer: What ends a block of calls, and belongs to the last of them.
        fenced: Whether the opening ends with a code fence, which `close` follows.
    """

    opening: re.Pattern[str]
    close: str = ""
    outer: str = ""
    fenced: bool = False

    def __call__(self, source: Source, match: re.Match[str], tools: Tools) -> Region | None:
        """The call at `match`; None where the header leads no arguments."""
        reading = Reading(match["name"].strip())
        at = skip_space(source.text, match.end())
        if at >= len(source.text):
            reading.fail("the text ends before the arguments", "truncated")
            return reading.region(source.text, match.start(), len(source.text))
        if not source.text.startswith(("{", '"', "```"), at):
            return self._no_object(source, match, reading, at, tools)
        close = "```" if self.fenced else self.close
        end, fenced = read_arguments(source, at, reading, tools, close, self.opening)
        if reading.status != "truncated":
            end = self._closing(source, end, reading, fenced)
        return reading.region(source.text, match.start(), end)

    def _no_object(
        self, source: Source, match: re.Match[str], reading: Reading, at: int, tools: Tools
    ) -> Region | None:
        if not self.close or not source.text.startswith(self.close, at):
            return None
        fill_arguments(reading, None, tools)
        return reading.region(source.text, match.start(), self._closing(source, at, reading, self.fenced))

    def _closing(self, source: Source, end: int, reading: Reading, fenced: bool) -> int:
        text = source.text
        end = skip_fence(text, end) if fenced or self.fenced else end
        after = skip_space(text, end)
        if self.close:
            if not text.startswith(self.close, after):
                reading.slip("the closing tag is missing")
                return len(text) if ends_inside(text, self.close, after) else end
            end = after + len(self.close)
            after = skip_space(text, end)
        return after + len(self.outer) if self.outer and text.startswith(self.outer, after) else end
