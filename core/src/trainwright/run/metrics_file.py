"""`metrics.jsonl`: one JSON object a log event, readable while the run goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback

from trainwright.run.disk import writing
from trainwright.run.files import main_process
from trainwright.run.folder import RunFolder
from trainwright.run.records import record


class MetricsFile(TrainerCallback):  # type: ignore[misc]
    """Appends each log event: `step`, `epoch`, `split` (`train`, `eval` or `summary`), then what was logged.

    Keys below `time/` (durations, speeds) differ from run to run; all others of a run on the CPU are reproducible.
    A number that is not finite, which JSON cannot express, is written as text that `float()` reads.

    Args:
        run: The run's folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._start = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Append one line.

        Raises:
            RunError: It cannot be written.
        """
        if not main_process() or not logs:
            return
        line = record(logs, step=state.global_step, epoch=state.epoch, seconds=time.monotonic() - self._start)
        with writing(f"step {state.global_step} of the metrics", self._run), self._run.metrics.open("a") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
