"""The text under a scanner: searches that remember, so that a scan stays linear whatever the text."""

from __future__ import annotations

import re

# Characters that repairs may read in one text. Repairs run in plain Python on the rare call that strict JSON refuses;
# a text built of nothing but such calls gets `malformed` beyond this.
REPAIR_BUDGET = 128 * 1024


class Source:
    """A text and the places last found in it.

    Searches are asked from growing positions. A needle that is absent, or far ahead, is looked for once instead of once
    a call, which is the difference between linear and quadratic time on hostile text.

    Args:
        text: The response.
        ended: Whether the model has ended it, with a stop token.
    """

    def __init__(self, text: str, *, ended: bool = False) -> None:
        self.text, self.ended = text, ended
        self.budget = REPAIR_BUDGET
        self.mentions = 0  # openings looked at that started no call
        self._found: dict[str, tuple[int, int]] = {}
        self._matches: dict[re.Pattern[str], tuple[int, re.Match[str] | None]] = {}

    def find(self, needle: str, start: int) -> int:
        """The first place of `needle` at or after `start`, or -1."""
        asked, place = self._found.get(needle, (len(self.text) + 1, -1))
        if asked <= start and (place == -1 or start <= place):
            return place
        place = self.text.find(needle, start)
        self._found[needle] = (start, place)
        return place

    def search(self, pattern: re.Pattern[str], start: int) -> re.Match[str] | None:
        """The first match of `pattern` at or after `start`."""
        asked, match = self._matches.get(pattern, (len(self.text) + 1, None))
        if asked <= start and (match is None or start <= match.start()):
            return match
        match = pattern.search(self.text, start)
        self._matches[pattern] = (start, match)
        return match

    def spend(self, characters: int) -> bool:
        """Take `characters` from the repairs' budget; False where it is used up."""
        self.budget -= characters
        return self.budget >= 0


_SPACE = re.compile(r"\s*+")


def skip_space(text: str, start: int) -> int:
    """The first place at or after `start` that is no white space."""
    match = _SPACE.match(text, start)
    return match.end() if match else start


def ends_inside(text: str, tag: str, at: int) -> bool:
    """Whether the text ends before `tag`, which is to stand at `at`, is whole."""
    return len(text) - at < len(tag) and tag.startswith(text[at:])
