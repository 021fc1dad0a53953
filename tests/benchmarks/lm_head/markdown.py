"""The figures as tables for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lm_head.cells import Cell
from lm_head.goals import Errors, Measured, Summary, summarised
from lm_head.measure import GradientError
from lm_head.report import Results, multiple, number
from lm_head.rows import ROWS, TITLES


def tables(results: Results) -> str:
    """Times and memory, gradient errors, goals."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Results) -> Iterator[str]:
    yield ", ".join(f"{name} {version}" for name, version in results.machine.items()) + "."
    for trained in (True, False):
        cells = [(cell, rows) for cell, rows in results.cells if cell.trained == trained]
        if cells:
            yield f"\n{cells[0][0].head.capitalize()}: ms (multiple of the bare products), peak GiB\n"
            yield from _cells(cells)
    problem = results.errors[0][0]
    yield f"\nGradients relative to float64: N {problem.tokens} × H {problem.hidden} × V {problem.vocabulary:,}\n"
    yield from _errors(results.errors)
    yield "\nGoals\n"
    goals = (_goal(what, found) for what, found in summarised(results.goals))
    yield from _rows(("ratio", "cells", "worst", "missed"), goals)


def _cells(cells: Sequence[tuple[Cell, Measured]]) -> Iterator[str]:
    header = ["", *(f"{cell.label}<br>{cell.hidden} × {cell.vocabulary:,} × {cell.tokens:,}" for cell, _ in cells)]
    names = [row.name for row in ROWS if any(row.name in rows for _, rows in cells)]
    yield from _rows(header, ((TITLES[name], *(_figures(name, rows) for _, rows in cells)) for name in names))


def _figures(name: str, rows: Measured) -> str:
    found = rows.get(name)
    if found is None:
        return ""
    if found.milliseconds is None:
        return found.failure
    times = multiple(found, rows.get("products"))
    return f"{found.milliseconds:.1f}{f' ({times})' if times else ''}, {number(found.peak, '.2f')}"


def _errors(errors: Sequence[tuple[Cell, Errors]]) -> Iterator[str]:
    header = ["", *(f"{gradient}, {cell.head}" for cell, _ in errors for gradient in _gradients(cell))]
    names = [row.name for row in ROWS if any(row.name in rows for _, rows in errors)]
    lines = [(TITLES[name], *(text for cell, rows in errors for text in _error(cell, rows[name]))) for name in names]
    yield from _rows(header, lines)


def _gradients(cell: Cell) -> tuple[str, ...]:
    return ("hidden", "weight") if cell.trained else ("hidden",)


def _error(cell: Cell, found: GradientError) -> Iterator[str]:
    for gradient in _gradients(cell):
        yield found.failure or number(getattr(found, gradient), ".2e")


def _goal(what: str, found: Summary) -> tuple[str, str, str, str]:
    """What, in how many cells, the worst of them, and those that miss it."""
    if found.worst is None:
        return what, "–", "–", "not measured"
    return what, str(len(found.judged)), found.worst.figure, ", ".join(goal.figure for goal in found.missed) or "none"


def _rows(header: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    for line in (header, ["---"] * len(header), *lines):
        yield f"| {' | '.join(line)} |"
