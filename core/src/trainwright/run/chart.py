"""Line charts as inline SVG: no script, no network, readable on light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 8, 22


def line_chart(series: Mapping[str, Points], *, title: str, width: int = 640, height: int = 260) -> str:
    """An SVG element with one line a series.

    Args:
        series: Name → (x, y) points in the order of x; points that are not finite are left out and break the line.
        title: What the chart shows, for readers that see no picture.
        width: Width in pixels at its natural size; it scales with the page.
        height: Height in pixels.
    """
    finite = [point for points in series.values() for point in points if _is_finite(point)]
    if not finite:
        return ""
    xs, ys = _range([x for x, _ in finite]), _range([y for _, y in finite])
    right, bottom = width - _RIGHT, height - _BOTTOM

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x = _LEFT + (point[0] - xs[0]) / (xs[1] - xs[0]) * (right - _LEFT)
        y = bottom - (point[1] - ys[0]) / (ys[1] - ys[0]) * (bottom - _TOP)
        return round(x, 1), round(y, 1)

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">']
    for tick in _ticks(*ys):
        _, y = place((xs[0], tick))
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y}" x2="{right}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{_label(tick)}</text>')
    for tick in _ticks(*xs):
        x, _ = place((tick, ys[0]))
        parts.append(f'<text x="{x}" y="{height - 6}" text-anchor="middle">{_label(tick)}</text>')
    for number, (name, points) in enumerate(series.items()):
        parts += [_line([place(point) for point in run], number, name) for run in _runs(points)]
    return "\n".join([*parts, "</svg>"])


def _line(points: Points, number: int, name: str) -> str:
    if len(points) == 1:
        (x, y), *_ = points
        return f'<circle class="s{number}" cx="{x}" cy="{y}" r="3"><title>{escape(name)}</title></circle>'
    path = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline class="s{number}" points="{path}"><title>{escape(name)}</title></polyline>'


def _runs(points: Points) -> list[Points]:
    """Maximal runs of finite points."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if _is_finite(point):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _is_finite(point: tuple[float, float]) -> bool:
    return all(map(math.isfinite, point))


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        pad = abs(low) / 10 or 1.0
        return low - pad, high + pad
    return low, high


def _ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within a range."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _label(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}" if abs(value) < 1e3 else f"{value:.0f}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"
