"""How far the reference log-probabilities are: a bar on a terminal, lines elsewhere; on stderr, from the first rank."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from trainwright.run.files import main_process

_log = logging.getLogger(__name__)
_EVERY = 10.0  # seconds between lines


class Progress:
    """Counts rows and tokens of one data set.

    Args:
        name: What is computed, e.g. `reference log-probs, data.train`.
        rows: Rows in all.
        done: Rows that were there before.
        ranks: Ranks that compute as much as this one.
        console: Where to; default stderr. A bar is drawn where it is a terminal.
    """

    def __init__(self, name: str, rows: int, done: int, ranks: int = 1, console: Any = None) -> None:
        from rich.console import Console

        self._name, self._rows, self._done, self._first, self._ranks = name, rows, done, done, ranks
        self._console = console or Console(file=sys.stderr)
        self._begun = self._shown = time.monotonic()
        self._tokens = 0
        self._bar: Any = None

    @contextmanager
    def showing(self) -> Iterator[Progress]:
        """Within it, the bar is on the terminal; afterwards a line says what was done."""
        self._begun = self._shown = time.monotonic()
        self._bar = _bar(self._console, self._name, self._rows, self._done) if self._is_drawn() else None
        try:
            yield self
        finally:
            if self._bar is not None:
                self._bar.stop()
        self._say(self.summary())

    def advance(self, rows: int, tokens: int) -> None:
        """One more batch on every rank.

        Args:
            rows: Its rows on this rank.
            tokens: Its tokens on this rank, padding excluded.
        """
        self._tokens += tokens * self._ranks
        self._done = min(self._done + rows * self._ranks, self._rows)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done, speed=f"{self.speed:,.0f} tokens/s")
        elif time.monotonic() - self._shown >= _EVERY:
            self._shown = time.monotonic()
            self._say(f"{self._name}: {self._done:,}/{self._rows:,} rows  {self.speed:,.0f} tokens/s{self._left()}")

    @property
    def speed(self) -> float:
        """Tokens a second, over all ranks."""
        return self._tokens / max(time.monotonic() - self._begun, 1e-9)

    def summary(self) -> str:
        """What was done, on one line."""
        found = f" ({self._first:,} were there)" if self._first else ""
        took = timedelta(seconds=round(time.monotonic() - self._begun))
        return (
            f"{self._name}: {self._rows:,} rows{found}, {self._tokens:,} tokens in {took}, {self.speed:,.0f} tokens/s"
        )

    def _left(self) -> str:
        new = self._done - self._first
        seconds = (time.monotonic() - self._begun) / max(new, 1) * (self._rows - self._done)
        return f"  {timedelta(seconds=round(seconds))} left" if new else ""

    def _is_drawn(self) -> bool:
        return main_process() and bool(self._console.is_terminal)

    def _say(self, text: str) -> None:
        say(text, self._console)


def say(text: str, console: Any = None) -> None:
    """One line on stderr, and in the run's log; of the first rank only."""
    if main_process():
        print(text, file=console.file if console is not None else sys.stderr, flush=True)
        _log.info("%s", text)


def _bar(console: Any, name: str, rows: int, done: int) -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"))
    bar = Bar(*columns, TimeRemainingColumn(), console=console, redirect_stdout=False)
    bar.add_task("", total=rows, completed=done, speed="")
    bar.start()
    return bar
