"""Ctrl-C and SIGTERM: the step is finished, a checkpoint is written, the run ends; a second one ends it at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from transformers import TrainerCallback

from trainwright.run.files import main_process

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ECHO = 1.0  # seconds; a launcher repeats the terminal's Ctrl-C to its workers


class Interrupt(TrainerCallback):  # type: ignore[misc]
    """Ends a run at the next step, on all ranks at the same one, once any of them was told to.

    Args:
        trainer: A trainer with the mixin `SealedCheckpoints`.

    Attributes:
        interrupted: Whether the run was ended before its last step.
    """

    def __init__(self, trainer: Any) -> None:
        self.interrupted = False
        self._trainer = trainer
        self._told: float | None = None
        self._process = os.getpid()

    @contextmanager
    def listening(self) -> Iterator[Interrupt]:
        """Handle the signals within it; in a thread that cannot, do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop where any rank was told to, with a checkpoint."""
        told = self._trainer.ranks.any_by_now(self._told is not None)
        if told and not control.should_training_stop:
            self.interrupted = control.should_training_stop = control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave out what belongs to the end of an epoch that did not end."""
        if self.interrupted and not float(state.epoch).is_integer():
            control.should_log = control.should_evaluate = control.should_save = False

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say how to go on."""
        if self.interrupted and main_process():
            self._say(f"stopped after step {state.global_step}, which is saved\n  → {self._trainer.run.resume_command}")

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a data loader's worker inherits this handler
            return
        now = time.monotonic()
        if self._told is None:
            self._told = now
            if main_process():
                self._say("stopping after this step, with a checkpoint; press Ctrl-C again to stop at once")
        elif now - self._told > _ECHO:
            raise KeyboardInterrupt

    @staticmethod
    def _say(text: str) -> None:
        try:
            print(f"\n{text}", file=sys.stderr, flush=True)
        except RuntimeError:  # the signal came while something else was being printed, which a stream does not allow
            os.write(2, f"\n{text}\n".encode())
