"""No session outlives its process: at a normal end, after an exception, on SIGTERM and SIGHUP, all are ended.

After SIGKILL nothing can be done here; servers drop sessions that give no sign of life.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import threading
from functools import cache
from types import FrameType
from typing import Protocol

from trainwright_ors.client.loop import home, started

_LOG = logging.getLogger("trainwright.ors")
_SIGNALS = ("SIGTERM", "SIGHUP")
_AT_ONCE = 64  # sessions ended side by side
_AT_EXIT = 15.0  # seconds


class Closable(Protocol):
    """What is ended."""

    async def close(self) -> None:
        """End it; bounded in time, and no matter how often."""


def opened() -> set[Closable]:
    """The sessions of this process that are not ended yet; to be used on the client's loop."""
    sessions: set[Closable] = home().belongings.setdefault("sessions", set())
    return sessions


async def _close_all() -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def close(session: Closable) -> None:
        async with gate:
            await session.close()

    await asyncio.gather(*(close(session) for session in tuple(opened())), return_exceptions=True)


def close_all(timeout: float = _AT_EXIT) -> None:
    """End every session of this process, side by side; those of a parent that forked it are left alone.

    Args:
        timeout: Seconds for all together. What is left then the server drops in its own time.
    """
    place = started()
    if place is None or place.here:
        return
    work = place.submit(_close_all())
    try:
        work.result(timeout)
    except TimeoutError:
        work.cancel()
        _LOG.warning("not every session of the ORS server could be ended within %g s", timeout)


@cache
def _at_exit() -> None:
    atexit.register(close_all)


def arm() -> None:
    """See to it that sessions are ended when the process is; signals that somebody handles already stay theirs."""
    _at_exit()
    if threading.current_thread() is threading.main_thread():
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _on_signal)


def _on_signal(number: int, frame: FrameType | None) -> None:
    """End the sessions, then let the signal do what it would have done."""
    close_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
