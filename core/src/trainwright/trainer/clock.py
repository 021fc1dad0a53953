"""How long steps take, without what is not a step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Wall-clock time between log events, pauses excluded."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._step = 0

    def begin(self, step: int) -> None:
        """Start counting at the run's first step; nothing later."""
        if self._start is None:
            self._start, self._step = time.perf_counter(), step

    def lap(self, step: int) -> tuple[int, float]:
        """Steps and seconds since the last lap."""
        now = time.perf_counter()
        start = now if self._start is None else self._start
        steps, seconds = step - self._step, max(now - start, 1e-9)
        self._start, self._step = now, step
        return steps, seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside takes no time."""
        before = time.perf_counter()
        try:
            yield
        finally:
            if self._start is not None:
                self._start += time.perf_counter() - before
