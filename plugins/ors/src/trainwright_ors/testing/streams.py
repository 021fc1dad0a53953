"""Tool calls as streams of events, whose results can be asked for again for a while."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field

PIECE = 4096  # characters of a result in one event, as both SDKs cut it
_LINES = re.compile(r"\r\n|\r|\n")


def event(name: str, data: str) -> bytes:
    """One event; data of several lines becomes several fields."""
    lines = [f"event: {name}", *(f"data: {line}" for line in _LINES.split(data)), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogatepass")


@dataclass
class Call:
    """One execution, ended when `done` is set.

    Cancelling does not set it: as with the SDKs, the stream of a tool that raises `CancelledError` has no end.
    """

    result: str = ""
    error: str | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, work: Awaitable[str]) -> None:
        """Execute, and keep what comes of it."""
        try:
            self.result = await work
        except Exception as error:  # whatever a tool raises is its answer
            self.error = str(error)
        self.done.set()

    def events(self) -> Iterator[bytes]:
        """What the stream ends with."""
        if self.error is not None:
            yield event("error", self.error)
            return
        for at in range(0, len(self.result), PIECE):
            last = at + PIECE >= len(self.result)
            yield event("end" if last else "chunk", self.result[at : at + PIECE])


@dataclass
class Calls:
    """The calls of a server, running or done.

    Attributes:
        linger: Seconds that a result is kept.
        pings: Seconds between comments while a call runs.
    """

    linger: float = 60.0
    pings: float = 10.0
    _calls: dict[str, Call] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def stream(self, work: Awaitable[str] | None, task_id: str | None) -> AsyncIterator[bytes]:
        """The events of a new call, or of one that began before; the call goes on where nobody listens any more."""
        if work is not None:
            task_id = self._begin(work)
        call = self._calls.get(task_id or "")
        if task_id is None or call is None:
            yield event("error", "unknown task_id")
            return
        yield event("task_id", task_id)
        while not call.done.is_set():
            try:
                await asyncio.wait_for(call.done.wait(), self.pings)
            except TimeoutError:
                yield b": ping\r\n\r\n"
        for each in call.events():
            yield each

    def _begin(self, work: Awaitable[str]) -> str:
        task_id, call = uuid.uuid4().hex, Call()
        self._calls[task_id] = call
        task = asyncio.ensure_future(call.run(work))
        self._tasks.add(task)
        loop = asyncio.get_running_loop()
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: loop.call_later(self.linger, self._calls.pop, task_id, None))
        return task_id
