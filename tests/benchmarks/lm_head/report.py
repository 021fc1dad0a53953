"""How the figures are shown: lines as they come in, and JSON for everything."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import torch

from lm_head.cells import Cell
from lm_head.goals import Errors, Goal, Measured, summarised
from lm_head.measure import GradientError, Measurement
from lm_head.rows import Row

PACKAGES = ("torch", "triton", "transformers", "trl", "liger-kernel", "cut-cross-entropy")
WIDTH = 34


@dataclass(frozen=True)
class Results:
    """All that a run found.

    Attributes:
        machine: The device, and the versions of what was compared.
        cells: Each cell with its rows.
        errors: Each head of the gradient errors with its rows.
        goals: What was to be reached.
    """

    machine: dict[str, str]
    cells: Sequence[tuple[Cell, Measured]]
    errors: Sequence[tuple[Cell, Errors]]
    goals: Sequence[Goal]


def machine(device: str) -> dict[str, str]:
    """The device by name, and versions; "-" for what is not installed."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return {"device": name, "python": platform.python_version(), **{package: _version(package) for package in PACKAGES}}


def cell_heading(cell: Cell) -> str:
    """The head of a cell's table."""
    shape = f"{cell.title}: H {cell.hidden} × V {cell.vocabulary} × N {cell.tokens}"
    return f"\n{shape}\n{'':{WIDTH}}{'ms':>9}{'× bare':>9}{'peak GiB':>10}"


def cell_line(row: Row, found: Measurement, bare: Measurement | None) -> str:
    """One row of a cell's table; that of the bare products with its spread."""
    if found.milliseconds is None:
        return f"{row.title:{WIDTH}}      n/a   {found.failure}"
    times, peak = multiple(found, bare), number(found.peak, ".2f")
    spread = f"   {min(found.times):.2f} to {max(found.times):.2f} ms" if row.kind == "products" else ""
    return f"{row.title:{WIDTH}}{found.milliseconds:9.2f}{times:>9}{peak:>10}{spread}"


def error_heading(cell: Cell) -> str:
    """The head of a table of gradient errors."""
    shape = f"N {cell.tokens} × H {cell.hidden} × V {cell.vocabulary}"
    return f"\n{cell.title}, relative to float64: {shape}\n{'':{WIDTH}}{'hidden':>10}{'weight':>10}"


def error_line(row: Row, found: GradientError) -> str:
    """One row of that table."""
    if found.failure:
        return f"{row.title:{WIDTH}}       n/a   {found.failure}"
    return f"{row.title:{WIDTH}}{number(found.hidden, '.3e'):>10}{number(found.weight, '.3e'):>10}"


def goal_lines(goals: Sequence[Goal]) -> Iterator[str]:
    """Each goal with its worst cell, and every cell that misses it."""
    for what, found in summarised(goals):
        if found.worst is None:
            yield f"{what}: not measured"
            continue
        verdict = f"missed in {len(found.missed)} of" if found.missed else "reached in all"
        yield f"{what}: {verdict} {len(found.judged)}, worst {found.worst.figure}"
        yield from (f"    missed: {goal.figure}" for goal in found.missed)
    counts = Counter(goal.verdict for goal in goals)
    yield ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("reached", "missed", "not measured"))


def as_json(results: Results) -> str:
    """Everything, single calls included."""
    return json.dumps(_plain(results), indent=1, ensure_ascii=False) + "\n"


def multiple(found: Measurement, bare: Measurement | None) -> str:
    """Its time as a multiple of the bare products', if both are known."""
    if found.milliseconds is None or bare is None or bare.milliseconds is None:
        return ""
    return f"{found.milliseconds / bare.milliseconds:.2f}"


def number(value: float | None, form: str) -> str:
    """The value in that format, or a dash."""
    return "–" if value is None else format(value, form)


def _plain(results: Results) -> dict[str, object]:
    cells = [
        {"cell": cell.name, **asdict(cell), "rows": {name: _measured(found) for name, found in rows.items()}}
        for cell, rows in results.cells
    ]
    errors = [
        {**asdict(cell), "rows": {name: asdict(found) for name, found in rows.items()}} for cell, rows in results.errors
    ]
    goals = [{**asdict(goal), "verdict": goal.verdict} for goal in results.goals]
    return {"machine": results.machine, "cells": cells, "gradient_errors": errors, "goals": goals}


def _measured(found: Measurement) -> dict[str, object]:
    return {"milliseconds": found.milliseconds, **asdict(found)}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "-"
