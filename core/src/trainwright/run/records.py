"""The lines of `metrics.jsonl`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SPEED = "time/tokens_per_second"
"""The key of the throughput, tokens of all ranks a second."""

OWN_KEYS = ("step", "epoch", "split", "time/elapsed")
"""What each line holds beside the numbers that were logged."""

_TIMING = re.compile(r"(^time/)|(_runtime|_per_second|_time)$")


def is_timing(key: str) -> bool:
    """Whether a logged number is a duration or a speed, which differs from run to run."""
    return _TIMING.search(key) is not None


def written_name(key: str) -> str:
    """The name under which a logged number stands in the file: durations and speeds stand below `time/`."""
    return f"time/{key}" if is_timing(key) and not key.startswith("time/") else key


def record(logs: Mapping[str, Any], *, step: int, epoch: float, seconds: float) -> dict[str, Any]:
    """One line of the file.

    Args:
        logs: What the trainer logged; values that are not numbers are left out.
        step: Optimizer steps done.
        epoch: Epochs done.
        seconds: Seconds since this process began to train.
    """
    line: dict[str, Any] = {"step": step, "epoch": epoch, "split": _split(logs)}
    timings: dict[str, Any] = {}
    for key, value in logs.items():
        number = _number(value)
        if key in line or number is None:
            continue
        target = timings if is_timing(key) else line
        target[written_name(key)] = number
    return {**line, **timings, "time/elapsed": round(seconds, 3)}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All lines of a file, numbers as numbers; a last line that was cut off is left out, no file is no lines."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = []
    for text in lines:
        try:
            row = json.loads(text)
        except json.JSONDecodeError:
            continue
        rows.append({key: value if key == "split" else _float(value) for key, value in row.items()})
    return rows


def _split(logs: Mapping[str, Any]) -> str:
    if "train_runtime" in logs:
        return "summary"
    return "eval" if any(key.startswith("eval_") for key in logs) else "train"


def _number(value: Any) -> float | int | str | None:
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, int | float):
        return None
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _float(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value
