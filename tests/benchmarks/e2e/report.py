"""What was measured, as lines, as tables, and held against the goals."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.cases import GIB, Case

PEAK_GOAL = 1.001  # times TRL's: as much, but for what rounds blocks up
FIRST_LOSS = 1e-3
LATER_LOSSES = 1e-2  # weights that were trained apart in bf16, from the second step on

_HEADER = ("case", "trainer", "peak, GiB", "tokens/s", "step, ms", "first loss", "of TRL's peak", "of TRL's time")


@dataclass(frozen=True)
class Measured:
    """What one trainer took for one case, the median over rounds and steps.

    Attributes:
        peak: Bytes, after the first step.
        seconds: Of a step.
        tokens: Of a step.
        loss: Of the first step.
        later: Mean loss of the other steps.
    """

    peak: float
    seconds: float
    tokens: int
    loss: float
    later: float

    def __str__(self) -> str:
        speed = f"{self.tokens / self.seconds:10,.0f} tokens/s {1e3 * self.seconds:9,.1f} ms"
        return f"{self.peak / GIB:7.2f} GiB {speed}   loss {self.loss:.5f}, then {self.later:.5f}"


def measured(rounds: Sequence[Mapping[str, Any]]) -> Measured:
    """From the results of workers that did the same."""
    return Measured(
        peak=max(found["peak"] for found in rounds),
        seconds=statistics.median(second for found in rounds for second in found["seconds"]),
        tokens=rounds[0]["tokens"],
        loss=rounds[0]["losses"][0],
        later=rounds[0]["losses"][-1],
    )


def failure(found: Mapping[str, Any]) -> str | None:
    """Why a worker measured nothing."""
    return "out of memory" if "out_of_memory" in found else found.get("error")


@dataclass(frozen=True)
class Goal:
    """A goal of one case.

    Attributes:
        text: What is to hold, with what was found.
        reached: Whether it holds.
    """

    text: str
    reached: bool

    def __str__(self) -> str:
        return f"{'reached' if self.reached else 'MISSED '}  {self.text}"


def goals(case: Case, trl: Measured, ours: Measured) -> list[Goal]:
    """The goals of a case."""
    peak, time = ours.peak / trl.peak, ours.seconds / trl.seconds
    first, later = abs(ours.loss - trl.loss), abs(ours.later - trl.later)
    return [
        Goal(f"peak {peak:.3f} of TRL's, at most {PEAK_GOAL}", peak <= PEAK_GOAL),
        Goal(f"step time {time:.3f} of TRL's, at most {case.time_goal:.2f}", time <= case.time_goal),
        Goal(f"first losses {first:.1e} apart, at most {FIRST_LOSS:.0e}", first <= FIRST_LOSS),
        Goal(f"means of later losses {later:.1e} apart, at most {LATER_LOSSES:.0e}", later <= LATER_LOSSES),
    ]


def table(compared: Sequence[tuple[Case, Measured, Measured]]) -> str:
    """All cases, in Markdown."""
    rows = []
    for case, trl, ours in compared:
        for name, own in (("TRL", trl), ("trainwright", ours)):
            ratios = (f"{own.peak / trl.peak:.3f}", f"{own.seconds / trl.seconds:.3f}")
            speed = (f"{own.tokens / own.seconds:,.0f}", f"{1e3 * own.seconds:,.1f}")
            rows.append((case.title, name, f"{own.peak / GIB:.2f}", *speed, f"{own.loss:.5f}", *ratios))
    return markdown(_HEADER, rows)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with columns padded to one width, which reads well in a terminal too."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [_line(header, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def profile_tables(profile: Mapping[str, Any]) -> tuple[str, str]:
    """Where a step's time goes, by category and by kernel, both in Markdown."""
    step = profile["step_ms"]
    categories = [(name, f"{ms:.1f}", f"{ms / step:.1%}") for name, ms in profile["categories"].items()]
    kernels = [
        (found["kernel"][:100].replace("|", "/"), found["category"], str(found["calls"]), f"{found['ms']:.2f}")
        for found in profile["kernels"]
    ]
    return (
        markdown(("part of a step", "ms", "share"), categories),
        markdown(("kernel", "part", "calls", "ms"), kernels),
    )
