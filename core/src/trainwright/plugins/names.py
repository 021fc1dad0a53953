"""Suggestions for misspelt names, and lists of names as a sentence has them."""

from __future__ import annotations

from collections.abc import Iterable

from trainwright.config.words import nearest


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'compute_loss'?` where a known name is close to `word`, else nothing."""
    close = nearest(word, known)
    return f"; did you mean {close!r}?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Names with commas between, or `none`."""
    return ", ".join(names) or "none"
