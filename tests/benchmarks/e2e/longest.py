"""The longest sequence that trains: a search in few tries, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

UNIT = 1024
_USABLE = 0.97  # of the device's memory; the rest is CUDA's context and fragmentation


@dataclass(frozen=True)
class Bracket:
    """What is known after the search, in tokens.

    Attributes:
        fits: The longest length that was tried and trained; 0 for none.
        fails: The shortest length that ran out of memory; None for none.
        fault: What else ended the search.
    """

    fits: int
    fails: int | None
    fault: str | None = None

    def __str__(self) -> str:
        if self.fails is None:
            return f"at least {self.fits:,} tokens" + "; then a run failed" * (self.fault is not None)
        return f"{self.fits:,} tokens ({self.fails:,} do not fit)"


def search(probe: Callable[[int], Mapping[str, Any]], start: int, tries: int) -> Bracket:
    """Find the longest multiple of `UNIT` that fits.

    The next guess is the length at which a line through the peaks measured so far reaches the device's memory. Where
    that lies outside what is still open, it is the middle; with no upper end yet, a sixteenth above what fits, and
    twice that where no line is known.

    Args:
        probe: Trains one length; a worker's result.
        start: The first guess, a multiple of `UNIT`.
        tries: How often `probe` may be called. A try that fails for another reason than memory ends the search.
    """
    found, guess = Bracket(0, None), start
    peaks: dict[int, float] = {}
    capacity = None
    for _ in range(tries):
        result = probe(guess)
        if "error" in result:
            return replace(found, fault=f"{guess:,} tokens: {result['error']}")
        if "out_of_memory" in result:
            found = Bracket(found.fits, guess)
        else:
            found = Bracket(guess, found.fails)
            capacity = result.get("capacity")
            peaks = {0: result.get("resting", 0), **peaks, guess: result["peak"]}
        if found.fails is not None and found.fails - found.fits <= UNIT:
            break
        guess = _next(found, peaks, capacity)
    return found


def _next(found: Bracket, peaks: Mapping[int, float], capacity: int | None) -> int:
    predicted = _predict(peaks, capacity)
    if found.fails is None:
        return max(predicted or 2 * found.fits, found.fits + max(found.fits // 16 // UNIT, 1) * UNIT)
    if predicted is None or not found.fits < predicted < found.fails:
        predicted = (found.fits + found.fails) // 2 // UNIT * UNIT
    return min(max(predicted, found.fits + UNIT), found.fails - UNIT)


def _predict(peaks: Mapping[int, float], capacity: int | None) -> int | None:
    """The length at which the line through the two longest measured peaks reaches the memory there is."""
    if capacity is None or len(peaks) < 2:
        return None
    shorter, longer = sorted(peaks)[-2:]
    slope = (peaks[longer] - peaks[shorter]) / (longer - shorter)
    if slope <= 0:
        return None
    return int(longer + (_USABLE * capacity - peaks[longer]) / slope) // UNIT * UNIT
