"""`metrics.jsonl`: one JSON object a log event, readable while the run goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from trainwright.run.files import main_process
from trainwright.run.records import record


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
