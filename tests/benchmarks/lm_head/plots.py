"""Bars of time and memory by cell, one panel for trained heads and one for frozen ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lm_head.cells import Cell
from lm_head.goals import Measured
from lm_head.measure import Measurement
from lm_head.rows import ROWS, Row

Figure = Callable[[Measurement, Measurement], float | None]  # of a row, given the bare products
Cells = Sequence[tuple[Cell, Measured]]


def plot(cells: Cells, folder: Path) -> None:
    """`time.png` and `memory.png`: the losses; `logps-time.png`: log-probabilities.

    Raises:
        ModuleNotFoundError: Without matplotlib.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    cells = [(cell, rows) for cell, rows in cells if "products" in rows]
    labelled = [(cell, rows) for cell, rows in cells if not cell.ignored]
    losses, logps = ([row for row in ROWS if row.kind == kind] for kind in ("nll", "logps"))
    multiple, peak = "time / bare products", "peak memory above the inputs, GiB"
    _bars(cells, losses, _multiple, multiple, folder / "time.png", line=1.0)
    if any(found.peak for _, rows in cells for found in rows.values()):  # on a CPU there is none
        _bars(cells, losses, lambda found, bare: found.peak, peak, folder / "memory.png", log=True)
    _bars(labelled, logps, _multiple, multiple, folder / "logps-time.png", line=1.0)


def _bars(cells: Cells, rows: Sequence[Row], figure: Figure, label: str, path: Path, **axis: Any) -> None:
    import matplotlib.pyplot as plt

    panels = [trained for trained in (True, False) if any(cell.trained == trained for cell, _ in cells)]
    if not panels:
        return
    drawing, axes = plt.subplots(len(panels), 1, figsize=(11, 4 * len(panels)), squeeze=False, layout="constrained")
    for trained, axes_ in zip(panels, axes[:, 0], strict=True):
        panel = [(cell, measured) for cell, measured in cells if cell.trained == trained]
        _panel(axes_, panel, rows, figure, **axis)
        axes_.set(title=panel[0][0].head, ylabel=label)
    drawing.legend(*axes[0, 0].get_legend_handles_labels(), fontsize="small", ncols=4, loc="outside upper center")
    drawing.savefig(path, dpi=150)
    plt.close(drawing)


def _panel(
    axes: Any, cells: Cells, rows: Sequence[Row], figure: Figure, log: bool = False, line: float | None = None
) -> None:
    width = 0.85 / len(rows)
    for index, row in enumerate(rows):
        values = [
            figure(measured[row.name], measured["products"]) if row.name in measured else None for _, measured in cells
        ]
        places = [place + (index - (len(rows) - 1) / 2) * width for place in range(len(cells))]
        heights = [value or 0.0 for value in values]  # what has no figure has no bar
        hatch = None if row.peer else "//"
        bars = axes.bar(places, heights, width, label=row.title, hatch=hatch, edgecolor="white", linewidth=0.3)
        axes.bar_label(bars, [f"{value:.2f}" if value else "" for value in values], fontsize=6, rotation=90, padding=2)
    if line is not None:
        axes.axhline(line, color="black", linewidth=0.8)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    axes.margins(y=0.2)
    axes.set_xticks(range(len(cells)), [cell.label for cell, _ in cells])


def _multiple(found: Measurement, bare: Measurement) -> float | None:
    own, least = found.milliseconds, bare.milliseconds
    return None if own is None or least is None else own / least
