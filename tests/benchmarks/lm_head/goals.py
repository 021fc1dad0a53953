"""What is to be reached on an H100, and what was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lm_head.cells import FULL_TOKENS, Cell
from lm_head.measure import GradientError, Measurement
from lm_head.rows import ROWS, TITLES

Measured = Mapping[str, Measurement]  # by the row's name
Errors = Mapping[str, GradientError]  # likewise

ABOVE_PRODUCTS = 1.12
ABOVE_PRODUCTS_SHORT = 1.20  # below FULL_TOKENS
ABOVE_ERROR = 1.02
LOGPS_FROZEN = 0.75
LOGPS_TRAINED = 1.0


@dataclass(frozen=True)
class Goal:
    """A ratio that is to be at most `limit`.

    Attributes:
        what: Which ratio.
        where: In which cell.
        value: The ratio; None where one of its sides has no figure.
        limit: The most that it may be.
        failed: Whether ours has no figure because it failed.
    """

    what: str
    where: str
    value: float | None
    limit: float
    failed: bool = False

    @property
    def verdict(self) -> str:
        """In a word."""
        if self.failed:
            return "missed"
        if self.value is None:
            return "not measured"
        return "reached" if self.value <= self.limit else "missed"

    @property
    def figure(self) -> str:
        """The ratio and its cell, as printed."""
        return f"{'failed' if self.value is None else format(self.value, '.3f')} ({self.where})"


@dataclass(frozen=True)
class Summary:
    """Goals that differ only by cell.

    Attributes:
        judged: Those that were measured.
        missed: Those of them that were missed.
        worst: The one farthest from its limit, or one of ours that failed; None without any.
    """

    judged: tuple[Goal, ...]
    missed: tuple[Goal, ...]
    worst: Goal | None


def summarised(goals: Iterable[Goal]) -> Iterator[tuple[str, Summary]]:
    """Each goal over its cells."""
    groups: dict[str, list[Goal]] = {}
    for goal in goals:
        groups.setdefault(f"{goal.what} ≤ {goal.limit:g}", []).append(goal)
    for what, group in groups.items():
        judged = tuple(goal for goal in group if goal.verdict != "not measured")
        missed = tuple(goal for goal in judged if goal.verdict == "missed")
        worst = max(judged, key=lambda goal: math.inf if goal.value is None else goal.value, default=None)
        yield what, Summary(judged, missed, worst)


def cell_goals(cell: Cell, rows: Measured) -> Iterator[Goal]:
    """The goals on time and memory in one cell. Ours with entropy and top-1 stands against peers that have them."""
    limit = ABOVE_PRODUCTS if cell.tokens >= FULL_TOKENS else ABOVE_PRODUCTS_SHORT
    yield _time(cell, rows, "nll", "products", limit)
    for peer in (row for row in ROWS if row.kind == "nll" and row.peer):
        yield _time(cell, rows, "nll-statistics" if peer.statistics else "nll", peer.name, 1.0)
    yield _peak(cell, rows, "nll", "trl")
    yield _peak(cell, rows, "nll-statistics", "trl")
    yield _peak(cell, rows, "nll-lowest", "liger")
    yield _time(cell, rows, "nll-lowest", "liger", 1.0)
    if not cell.ignored:
        limit = LOGPS_TRAINED if cell.trained else LOGPS_FROZEN
        yield _time(cell, rows, "logps", "trl-logps", limit)
        yield _time(cell, rows, "logps-entropy", "trl-logps-entropy", limit)


def error_goals(cell: Cell, rows: Errors) -> Iterator[Goal]:
    """The goals on gradients."""
    for own, other in (("nll", "trl"), ("logps", "trl-logps")):
        for operand in ("hidden", "weight") if cell.trained else ("hidden",):
            yield _goal(f"gradient error of {operand}", cell, rows, (own, other), operand, ABOVE_ERROR)


def _time(cell: Cell, rows: Measured, own: str, other: str, limit: float) -> Goal:
    return _goal("time", cell, rows, (own, other), "milliseconds", limit)


def _peak(cell: Cell, rows: Measured, own: str, other: str) -> Goal:
    return _goal("peak memory", cell, rows, (own, other), "peak", 1.0)


def _goal(what: str, cell: Cell, rows: Measured | Errors, names: tuple[str, str], figure: str, limit: float) -> Goal:
    """The ratio of two rows' figures, ours first."""
    ours, theirs = (getattr(rows.get(name), figure, None) for name in names)
    value = None if ours is None or theirs is None else ours / theirs
    title = f"{what}: {TITLES[names[0]]} / {TITLES[names[1]]}"
    return Goal(title, cell.title, value, limit, failed=bool(getattr(rows.get(names[0]), "failure", "")))
