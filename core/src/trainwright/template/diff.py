"""Texts in error messages: where two renders part, and long texts cut short."""

from __future__ import annotations

CONTEXT = 60
"""Characters shown on either side of the place that matters."""


def difference(one: tuple[str, str], other: tuple[str, str]) -> str:
    """Two named texts around where they part (`⟂`), one line each, indented."""
    at = shared_length(one[1], other[1])
    width = max(len(one[0]), len(other[0]))
    return "\n".join(f"    {name:<{width}}: {_around(text, at)}" for name, text in (one, other))


def shared_length(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def shorten(text: str) -> str:
    """A text as Python would quote it, its middle left out where it is long."""
    return repr(text if len(text) <= 2 * CONTEXT else text[:CONTEXT] + " … " + text[-CONTEXT:])


def _around(text: str, at: int) -> str:
    begin, end = max(0, at - CONTEXT), at + CONTEXT
    head, tail = "…" if begin else "", "…" if end < len(text) else ""
    return f"{head}{text[begin:at]!r} ⟂ {text[at:end]!r}{tail}"
