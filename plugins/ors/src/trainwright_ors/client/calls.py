"""A call of a tool: executed once at most, and its result fetched for as long as the server keeps it.

The server names the call's task before anything else. Until then a lost connection leaves open whether the tool ran,
and the call is given up; from then on the same request with that name only ever asks for the result.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from trainwright_ors.client.ask import Pauses, decoded, expect
from trainwright_ors.client.errors import (
    Deadline,
    OrsError,
    OutcomeUnknown,
    Place,
    ProtocolError,
    ToolFailed,
    Unreachable,
)
from trainwright_ors.client.sse import Event, SseError, SseParser
from trainwright_ors.client.trouble import Busy, Lost, Starting, Trouble
from trainwright_ors.client.types import Generation
from trainwright_ors.client.wire import Wire

if TYPE_CHECKING:
    import httpx

_MOMENT = 0.25  # seconds
_TOO_MANY = 429
_FORGOTTEN = "unknown task_id"
_GIVE_UP = "it is not called again, since it may have run"


async def events(
    response: httpx.Response, wire: Wire, place: Place, idle: Callable[[], float | None]
) -> AsyncGenerator[Event, None]:
    """The events of an answer.

    Args:
        response: Of `Wire.send`.
        wire: The server.
        place: For messages.
        idle: Seconds without a byte after which the connection counts as lost; asked before each piece.

    Raises:
        ProtocolError: It is no stream of events, or larger than `limits.answer`.
        Lost: The connection ended or fell silent.
    """
    expect(response.headers.get("content-type", ""), "text/event-stream", "the tool's result", place)
    parser = SseParser(wire.limits.answer)
    try:
        async for piece in wire.pieces(response, 2 * wire.limits.answer, idle, place):
            for event in parser.feed(piece):
                yield event
    except SseError as error:
        raise ProtocolError(str(error), place) from None


async def drain(stream: AsyncIterator[Event]) -> None:
    """Read what is left of a stream, for a moment at most, so that its connection serves the next request too."""
    with suppress(Trouble, ProtocolError, TimeoutError):
        async with asyncio.timeout(_MOMENT):
            async for _ in stream:
                pass


class Call:
    """One call.

    Args:
        wire: The server.
        generation: An `ors` server with a blocking tool says nothing while it runs, not even the task's name.
        path: The environment's segment and `call`.
        sid: The session.
        place: For messages.
        name: The tool.
        arguments: Its input.

    Attributes:
        resumed: How often the stream was lost and found again.
    """

    def __init__(
        self,
        wire: Wire,
        generation: Generation,
        path: tuple[str, ...],
        sid: str,
        place: Place,
        name: str,
        arguments: Mapping[str, Any],
    ) -> None:
        self._wire, self._path, self._sid, self._place = wire, path, sid, place
        self._body: dict[str, Any] = {"name": name, "input": arguments}
        self._first = None if generation == "ors" else wire.deadlines.idle
        self._task = ""
        self._named = False  # on the stream that is being read
        self.resumed = 0

    async def answer(self, seconds: float) -> Any:
        """What the stream ended with, as JSON.

        Args:
            seconds: For everything together.

        Raises:
            ToolFailed: The tool's code raised.
            OutcomeUnknown: It may or may not have run.
            Unreachable: It did not run.
            Deadline: It took too long, and may still be running.
            OrsError: The server refused the call.
        """
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self._persist()
        except TimeoutError:
            if not limit.expired():
                raise
            raise Deadline(f"the tool gave no result within {seconds:g} s", self._place) from None

    async def _persist(self) -> Any:
        pauses, connected = Pauses(), time.monotonic()
        while True:
            self._named = False
            try:
                return await self._attempt()
            except Lost as trouble:
                if not self._task:
                    raise OutcomeUnknown(
                        f"{trouble.why} before the tool's call had a name; {_GIVE_UP}", self._place
                    ) from None
                connected, pause = time.monotonic(), None
                self.resumed += 1
            except Trouble as trouble:
                self._give_up(trouble, time.monotonic() - connected)
                connected = time.monotonic() if isinstance(trouble, Starting) else connected
                pause = trouble.pause
            await pauses.wait(pause, answered=self._named)

    def _give_up(self, trouble: Trouble, without: float) -> None:
        """Raise where trying on is unsafe or hopeless.

        Args:
            trouble: Anything but a lost connection.
            without: Seconds since the server was last there.
        """
        deadlines = self._wire.deadlines
        if self._task:
            if without > deadlines.resume:
                raise OutcomeUnknown(f"its result was not found again: {trouble.why}", self._place)
        elif isinstance(trouble, Busy) and trouble.status != _TOO_MANY:
            raise OutcomeUnknown(f"{trouble.why} on the way to the tool; {_GIVE_UP}", self._place)
        elif without > deadlines.connect and not isinstance(trouble, Starting):
            raise Unreachable(f"the tool was not called: {trouble.why}", self._place)

    async def _attempt(self) -> Any:
        """One request, from its beginning to the stream's end."""
        body = self._body | ({"task_id": self._task} if self._task else {})
        async with (
            self._wire.send(
                "POST", self._path, self._place, sid=self._sid, body=body, patience=self._patience()
            ) as response,
            aclosing(events(response, self._wire, self._place, self._patience)) as stream,
        ):
            text = await self._read(stream)
            await drain(stream)
        return decoded(text, "the tool's result", self._place)

    def _patience(self) -> float | None:
        return self._wire.deadlines.idle if self._task else self._first

    async def _read(self, stream: AsyncIterator[Event]) -> str:
        """The result's text: its chunks and its end."""
        pieces: list[str] = []
        async for event in stream:
            if event.name == "task_id":
                self._name(event.data)
            elif event.name == "error":
                raise self._failure(event.data)
            elif event.name in ("chunk", "end"):
                pieces.append(event.data)
                if event.name == "end":
                    return "".join(pieces)
        raise Lost("the stream ended without a result")

    def _name(self, task: str) -> None:
        """Remember the task's name, by which alone the call is resumed."""
        if not task or (self._task and task != self._task):
            raise ProtocolError("the server gave the call's task no name, or another one than before", self._place)
        self._task, self._named = task, True

    def _failure(self, said: str) -> OrsError:
        """What an `error` event means: without a name before it, on a resumed stream, that the result is gone."""
        if self._task and not self._named and said == _FORGOTTEN:
            return OutcomeUnknown("the server no longer keeps the result of the call", self._place)
        text = self._wire.hidden.brief(said, self._sid, self._wire.limits.error)
        return ToolFailed(text or "the tool failed without a message", self._place, reason="raised")
