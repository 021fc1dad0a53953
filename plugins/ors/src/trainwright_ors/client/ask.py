"""Requests that may be sent again: whatever only reads, and whatever makes no difference the second time."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from trainwright_ors.client.errors import Deadline, Place, ProtocolError, Unreachable
from trainwright_ors.client.trouble import NotSent, Starting, Trouble
from trainwright_ors.client.wire import Wire

_T = TypeVar("_T")
_LOSSES = 4  # attempts that ended in a lost connection or a busy server
_LONGEST = 5.0  # seconds between two attempts, unless the server asks for more
_LONGEST_ANSWERED = 0.2  # where the server answers and only its answer is lost: results are kept for a minute only
_ASKED = 30.0  # the most that a server can ask for
_chance = random.Random()  # not the process's generator: training draws from that one


class Pauses:
    """How long to wait before each further attempt: twice as long each time, and not all at once."""

    def __init__(self) -> None:
        self._next = 0.1

    async def wait(self, asked: float | None = None, *, answered: bool = False) -> None:
        """Wait.

        Args:
            asked: Seconds that the server asked for, which are the least.
            answered: Whether the server was there in the last attempt, so that there is nothing to wait for.
        """
        chosen = min(self._next, _LONGEST_ANSWERED if answered else _LONGEST)
        self._next = 2 * chosen
        await asyncio.sleep(max(chosen * _chance.uniform(0.5, 1.0), min(asked or 0.0, _ASKED)))


async def persist(work: Callable[[], Awaitable[_T]], wire: Wire, place: Place, seconds: float, what: str) -> _T:
    """Try until it works: while there is no connection for `deadlines.connect`, while the session is set up for
    `seconds`, and after a lost connection a few times.

    Args:
        work: One attempt; must make no difference where it is made twice.
        wire: For its deadlines.
        place: For messages.
        seconds: All attempts together.
        what: What it is, as `the prompt`.

    Raises:
        Unreachable: It did not work within the attempts.
        Deadline: It did not work in time.
    """
    attempts, limit = _Attempts(wire, place, what), asyncio.timeout(seconds)
    try:
        async with limit:
            return await attempts.run(work)
    except TimeoutError:
        if not limit.expired():
            raise
        if isinstance(attempts.trouble, NotSent):  # nobody is there, which is not the same as being slow
            raise _unreachable(attempts.trouble, what, place) from None
        raise Deadline(f"{what} took longer than {seconds:g} s", place) from None


class _Attempts:
    """Attempts one after another.

    Attributes:
        trouble: What the last one ended in; None while one is under way.
    """

    def __init__(self, wire: Wire, place: Place, what: str) -> None:
        self._wire, self._place, self._what = wire, place, what
        self.trouble: Trouble | None = None

    async def run(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """See `persist`."""
        pauses, losses, begun = Pauses(), 0, time.monotonic()
        while True:
            self.trouble = None
            try:
                return await work()
            except Trouble as trouble:
                self.trouble = trouble
            if isinstance(self.trouble, NotSent):
                hopeless = time.monotonic() - begun > self._wire.deadlines.connect
            else:
                begun, losses = time.monotonic(), losses + (not isinstance(self.trouble, Starting))
                hopeless = losses >= _LOSSES
            if hopeless:
                raise _unreachable(self.trouble, self._what, self._place)
            await pauses.wait(self.trouble.pause)


def _unreachable(trouble: Trouble, what: str, place: Place) -> Unreachable:
    return Unreachable(f"{what} could not be had: {trouble.why}", place, remedy="is the server running at that URL?")


async def ask(
    wire: Wire,
    method: str,
    path: tuple[str, ...],
    place: Place,
    *,
    what: str,
    seconds: float | None = None,
    sid: str = "",
    body: Mapping[str, Any] | None = None,
    extra: Mapping[str, str] | None = None,
) -> Any:
    """The JSON that a request is answered with; see `persist`.

    Args:
        wire: The server.
        method: `GET` or `POST`.
        path: The segments below the base.
        place: For messages.
        what: What is asked for, as `the prompt`.
        seconds: All attempts together; None for `deadlines.request`.
        sid: The session's id.
        body: Sent as JSON.
        extra: More headers.

    Raises:
        OrsError: See `Unreachable`, `Deadline`, `ProtocolError`, `SessionGone`, `HttpRefused`.
    """

    async def attempt() -> Any:
        async with wire.send(method, path, place, sid=sid, body=body, extra=extra) as response:
            expect(response.headers.get("content-type", ""), "application/json", what, place)
            return decoded(await wire.whole(response, place), what, place)

    return await persist(attempt, wire, place, seconds or wire.deadlines.request, what)


def expect(found: str, wanted: str, what: str, place: Place) -> None:
    """Raise `ProtocolError` unless the answer's type is the wanted one."""
    if media_type(found) != wanted:
        raise ProtocolError(
            f"{what} came as {media_type(found)[:80]!r} instead of {wanted!r}",
            place,
            remedy="is this the URL of an ORS server?",
        )


def media_type(header: str) -> str:
    """`application/json` of `Application/JSON; charset=utf-8`."""
    return header.partition(";")[0].strip().lower()


def decoded(body: bytes | str, what: str, place: Place) -> Any:
    """JSON, or `ProtocolError`; never an error that quotes the answer."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deep, not UTF-8, or a number too long"
        raise ProtocolError(f"{what} is not readable JSON ({reason})", place) from None
