"""Requests of a session that is still being set up, or has gone."""

from __future__ import annotations

import asyncio

from trainwright_ors.testing.state import FakeSession, State


class Refused(Exception):  # noqa: N818 (an answer, not an error of this server)
    """A request is answered with an HTTP error.

    Args:
        status: The HTTP status.
        detail: What the answer says.
        headers: Others of the answer; underscores in a name stand for dashes.
    """

    def __init__(self, status: int, detail: object, **headers: str) -> None:
        super().__init__(status, detail)
        self.status, self.detail, self.headers = status, detail, headers


async def when_ready(state: State, sid: str, *, wait: bool = True) -> FakeSession:
    """A session whose setup has ended well; without `wait`, or one that still runs.

    Raises:
        Refused: There is none (404), it was deleted meanwhile (410), its setup failed (500) or takes long (503).
    """
    session = state.session(sid)
    if session is None:
        raise Refused(404, "Active environment not found")
    if wait:
        try:
            await asyncio.wait_for(session.ready.wait(), state.setup_wait if state.modern else None)
        except TimeoutError:
            starting = {"X_Backend_State": "starting", "Retry_After": "2"}
            raise Refused(503, "Environment still starting.", **starting) from None
    if session.deleted:
        raise Refused(410, "Session deleted")
    if session.ready.is_set() and session.environment.failure is not None:
        raise Refused(500, f"RuntimeError: {session.environment.failure}")
    return session
