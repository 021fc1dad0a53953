"""How far a run is: a bar on a terminal, plain lines everywhere else; on stderr, from the first rank."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from trainwright.run.files import main_process
from trainwright.run.records import SPEED

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

_SHOWN = {"loss": ".4f", "eval_loss": ".4f", "grad_norm": ".3f", "learning_rate": ".2e", "reward": ".3f"}


class Progress(TrainerCallback):  # type: ignore[misc]
    """Shows steps, loss, tokens a second and the time left.

    Args:
        console: Where to; default stderr. A bar is drawn where it is a terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(file=sys.stderr)
        self._bar: Bar | None = None
        self._task: Any = None
        self._begun = (0.0, 0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock, and draw the bar."""
        self._begun = (time.monotonic(), state.global_step)
        if main_process() and self._console.is_terminal:
            self._bar = _bar(self._console)
            self._task = self._bar.add_task("", total=state.max_steps, completed=state.global_step, numbers="")
            self._bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Show the newest numbers; a line of them where there is no bar."""
        logs = logs or {}
        if not main_process() or "train_runtime" in logs:
            return
        numbers = describe(logs)
        if self._bar is not None and "loss" in logs:
            self._bar.update(self._task, numbers=numbers)
        elif self._bar is not None:
            self._bar.console.print(f"step {state.global_step}  {numbers}", highlight=False)
        else:
            left = _left(self._begun, state.global_step, state.max_steps)
            self._line(f"step {state.global_step}/{state.max_steps}  {numbers}{left}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the terminal as it was."""
        self.close()

    def close(self) -> None:
        """Take the bar off the terminal; after an error too."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self, text: str) -> None:
        # not through rich, which would wrap the line at 80 columns in a log file
        print(text, file=self._console.file, flush=True)


def describe(logs: Mapping[str, Any]) -> str:
    """The numbers that a person wants to see of a log event: `loss 1.2345  learning_rate 2.00e-04  1,234 tokens/s`."""
    parts = [f"{key} {logs[key]:{form}}" for key, form in _SHOWN.items() if isinstance(logs.get(key), int | float)]
    if isinstance(logs.get(SPEED), int | float):
        parts.append(f"{logs[SPEED]:,.0f} tokens/s")
    return "  ".join(parts)


def _left(begun: tuple[float, int], step: int, steps: int) -> str:
    start, first = begun
    if not first < step < steps:
        return ""
    seconds = (time.monotonic() - start) / (step - first) * (steps - step)
    return f"  {timedelta(seconds=round(seconds))} left"


def _bar(console: Console) -> Bar:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[numbers]}"), TimeRemainingColumn())
    return Bar(*columns, console=console, redirect_stdout=False)
