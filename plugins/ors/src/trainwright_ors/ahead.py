"""Sessions opened before their rollouts begin, so that the set-ups of a batch run side by side."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from trainwright_ors.client import Client
from trainwright_ors.client.loop import home
from trainwright_ors.rollout import Opened, TaskKey, open_task

STALE = 1800.0  # seconds


@dataclass(eq=False)
class _Waiting:
    key: TaskKey
    future: Future[Opened]
    since: float = field(default_factory=time.monotonic)


class Ahead:
    """A stock of sessions by task. Thread-safe; a copy in another process starts empty.

    Args:
        client: The server.
        retries: Fresh sessions tried where one cannot be set up.
        most: Sessions that may wait for a batch that has not begun.
    """

    def __init__(self, client: Client, retries: int, most: int) -> None:
        self._client, self._retries, self._most = client, retries, most
        self._process = os.getpid()
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Ahead], tuple[Client, int, int]]:
        return Ahead, (self._client, self._retries, self._most)

    def want(self, keys: Sequence[TaskKey], *, now: bool) -> None:
        """See to it that each of these, counted as often as it occurs, is open or being opened.

        Args:
            keys: The tasks of a batch.
            now: Whether its rollouts begin now. Else as many are opened as may wait.
        """
        with self._lock:
            self._own()
            stale = self._take_stale()
            missing = list((Counter(keys) - Counter(each.key for each in self._waiting)).elements())
            room = len(missing) if now else max(self._most - len(self._waiting), 0)
            self._waiting += (_Waiting(key, self._open(key)) for key in missing[:room])
        discard(stale)

    def _take_stale(self) -> list[Future[Opened]]:
        """Those whose batch never came, as after an evaluation that was stopped."""
        stale: list[Future[Opened]] = []
        while self._waiting and time.monotonic() - self._waiting[0].since > STALE:
            stale.append(self._waiting.popleft().future)
        return stale

    def take(self, key: TaskKey) -> Future[Opened]:
        """A session of a task: the one that has waited longest, else one that is opened now."""
        with self._lock:
            self._own()
            for waiting in [each for each in self._waiting if each.key == key]:
                self._waiting.remove(waiting)
                if not _is_gone(waiting.future):
                    return waiting.future
                discard([waiting.future])
        return self._open(key)

    def clear(self) -> None:
        """End all that wait."""
        with self._lock:
            self._own()
            futures = [each.future for each in self._waiting]
            self._waiting.clear()
        discard(futures)

    def _open(self, key: TaskKey) -> Future[Opened]:
        future: Future[Opened] = home().submit(open_task(self._client, key, self._retries))
        return future

    def _own(self) -> None:
        """After a fork: what waits is the parent's."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._waiting = deque()


def _is_gone(future: Future[Opened]) -> bool:
    """Whether a session was lost while it waited, or could not be set up: its rollout then tries its own."""
    return future.done() and (future.exception() is not None or future.result().session.gone)


def discard(futures: Iterable[Future[Opened]]) -> None:
    """End sessions that nobody will use, those that are being opened as well; waits for none of them."""
    for future in futures:
        future.cancel()  # what is being opened ends itself
        future.add_done_callback(_end)


def _end(future: Future[Opened]) -> None:
    if not future.cancelled() and future.exception() is None:
        home().submit(future.result().session.close())
