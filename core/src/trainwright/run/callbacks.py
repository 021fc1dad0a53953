"""Everything that watches a run, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from trainwright.run.folder import RunFolder
from trainwright.run.interrupt import Interrupt
from trainwright.run.metrics_file import MetricsFile
from trainwright.run.nonfinite import StopOnNonFinite
from trainwright.run.progress import Progress

__all__ = ["Interrupt", "MetricsFile", "Progress", "StopOnNonFinite", "watch"]


class AfterStep(TrainerCallback):  # type: ignore[misc]
    """Calls a function after each step.

    Args:
        function: The function.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """Call it."""
        self._function()


@contextmanager
def watch(trainer: Any, run: RunFolder, started: Callable[[], None] = lambda: None) -> Iterator[Interrupt]:
    """Within it, a trainer writes `metrics.jsonl`, shows its progress, stops on NaN, and heeds Ctrl-C.

    Args:
        trainer: A trainer with the mixin `SealedCheckpoints`.
        run: Its folder.
        started: Called after each step: from the first on, the run is worth keeping.

    Yields:
        What knows afterwards whether the run was interrupted.
    """
    trainer.run = run
    for shown_otherwise in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(shown_otherwise)
    progress, interrupt = Progress(), Interrupt(trainer)
    callbacks = (AfterStep(started), MetricsFile(run), progress, StopOnNonFinite(trainer), interrupt)
    for callback in callbacks:
        trainer.add_callback(callback)
    try:
        with interrupt.listening():
            yield interrupt
    finally:
        progress.close()
        for callback in callbacks:
            trainer.remove_callback(callback)
