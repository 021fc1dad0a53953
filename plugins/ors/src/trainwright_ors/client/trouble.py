"""What can happen to a request on its way, by what the server may have done. Retries see it, callers never do."""

from __future__ import annotations


class Trouble(Exception):  # noqa: N818 (never seen outside: a retry or an `OrsError` comes of it)
    """Something on the way; `pause` is how long the server asks to wait, in seconds."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        self.why = why
        self.pause = pause
        super().__init__(why)


class NotSent(Trouble):
    """There was no connection: nothing can have run."""


class Starting(Trouble):
    """The server said that the session is still being set up: nothing ran."""


class Busy(Trouble):
    """429: nothing ran. 502, 503 or 504 of something between: unknown.

    Attributes:
        status: Which.
    """

    def __init__(self, why: str, pause: float | None, status: int) -> None:
        self.status = status
        super().__init__(why, pause)


class Lost(Trouble):
    """The connection ended, or fell silent, before the answer did: anything may have run."""
