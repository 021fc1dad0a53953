"""What a lost rollout means for the run: its end, or one score less; and when there are too many."""

from __future__ import annotations

import logging
import threading
from collections import deque

from trainwright_ors.client import OrsError
from trainwright_ors.settings import Policy

_LOG = logging.getLogger("trainwright.ors")
WINDOW = 100  # rollouts that the share is taken of
AT_LEAST = 20  # rollouts before it is taken at all


class TooManyFailuresError(OrsError):
    """More rollouts were lost than the run allows."""


class Failures:
    """Counts rollouts and decides. Thread-safe; a copy in another process counts for itself.

    Args:
        policy: `strict` or `substitute`.
        most: The share of the last `WINDOW` rollouts that may be lost.
    """

    def __init__(self, policy: Policy, most: float) -> None:
        self.policy, self.most = policy, most
        self.lost = 0
        self._last: deque[bool] = deque(maxlen=WINDOW)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Failures], tuple[Policy, float]]:
        return Failures, (self.policy, self.most)

    def note(self, error: OrsError | None, *, lost: bool = True) -> None:
        """Take note of a rollout.

        Args:
            error: What it failed by; None for one that ended well.
            lost: False for a rollout that keeps its score, though all its calls failed in the environment's code; it
                counts all the same.

        Raises:
            OrsError: It ends the run.
        """
        with self._lock:
            self._last.append(error is not None)
            share, count = sum(self._last) / len(self._last), len(self._last)
            self.lost += error is not None and lost
        if error is None:
            return
        if lost and self.policy == "strict":
            raise error
        _LOG.warning("a rollout %s: %s", "is left out" if lost else "has no call that worked", error)
        if count >= AT_LEAST and share > self.most:
            raise TooManyFailuresError(
                f"{share:.0%} of the last {count} rollouts failed, more than {self.most:.0%}; the last: {error.detail}",
                error.place,
                remedy="look at the server's log; `max_failures` allows a larger share",
            ) from error
