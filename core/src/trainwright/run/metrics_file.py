"""`metrics.jsonl`: one JSON object a log event, readable while the run goes on."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from trainwright.run.files import main_process

_TIMING = re.compile(r"(^time/)|(_runtime|_per_second|_time)$")


class MetricsFile(TrainerCallback):  # type: ignore[misc]
    """Appends each log event: `step`, `epoch`, `split` (`train`, `eval` or `summary`), then what was logged.

    Keys below `time/` (durations, speeds) differ from run to run; all others of a run on the CPU are reproducible.
    A number that is not finite, which JSON cannot express, is written as text that `float()` reads.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Append one line."""
        if not main_process() or not logs:
            return
        line = record(logs, step=state.global_step, epoch=state.epoch, seconds=time.monotonic() - self._start)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")


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
        target = timings if _TIMING.search(key) else line
        target[key] = number
    names = {key if key.startswith("time/") else f"time/{key}": value for key, value in timings.items()}
    return {**line, **names, "time/elapsed": round(seconds, 3)}


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
