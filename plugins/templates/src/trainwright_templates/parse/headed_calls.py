"""Calls written as a name in a header and the arguments as one JSON object."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .calls import Reading, Region
from .json_calls import fill_arguments
from .jsons import read_json
from .source import Source, ends_inside, skip_space
from .tools import Tools


@dataclass(frozen=True)
class HeadedCalls:
    """Reads one call a match; the `read` of a `TaggedFormat`.

    Attributes:
        opening: The header, with the name as group `name`.
        close: What ends the call; empty where nothing does.
        outer: What ends a block of calls, and belongs to the last of them.
        fence: What may stand between the arguments and `close`.
    """

    opening: re.Pattern[str]
    close: str = ""
    outer: str = ""
    fence: str = ""

    def __call__(self, source: Source, match: re.Match[str], tools: Tools) -> Region | None:
        """The call at `match`; None where the header leads no arguments."""
        reading = Reading(match["name"].strip())
        at = skip_space(source.text, match.end())
        if at >= len(source.text):
            reading.fail("the text ends before the arguments", "truncated")
            return _region(source, match, reading, len(source.text))
        if source.text[at] != "{":
            return self._no_object(source, match, reading, at, tools)
        part = read_json(source, at, self.close, self.opening)
        reading.status, reading.reason = part.status, part.reason
        end = part.end
        if part.status in ("ok", "repaired"):
            fill_arguments(reading, part.value, tools)
        if part.status != "truncated":
            end = self._closing(source, end, reading)
        return _region(source, match, reading, end)

    def _no_object(
        self, source: Source, match: re.Match[str], reading: Reading, at: int, tools: Tools
    ) -> Region | None:
        if not self.close or not source.text.startswith(self.close, at):
            return None
        fill_arguments(reading, None, tools)
        return _region(source, match, reading, self._closing(source, at, reading))

    def _closing(self, source: Source, end: int, reading: Reading) -> int:
        text = source.text
        after = skip_space(text, end)
        if self.close:
            if self.fence and text.startswith(self.fence, after):
                after = skip_space(text, after + len(self.fence))
            if not text.startswith(self.close, after):
                reading.slip("the closing tag is missing")
                return len(text) if ends_inside(text, self.close, after) else end
            end = after + len(self.close)
            after = skip_space(text, end)
        return after + len(self.outer) if self.outer and text.startswith(self.outer, after) else end


def _region(source: Source, match: re.Match[str], reading: Reading, end: int) -> Region:
    return Region(end, (reading.at(source.text, match.start(), end),))
