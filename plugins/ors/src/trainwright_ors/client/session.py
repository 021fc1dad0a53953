"""One episode on a server: created, kept alive, asked, ended."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trainwright_ors.client import answers
from trainwright_ors.client.ask import ask
from trainwright_ors.client.calls import Call
from trainwright_ors.client.closing import opened
from trainwright_ors.client.errors import (
    Deadline,
    HttpRefused,
    OrsError,
    OutcomeUnknown,
    Place,
    SessionGone,
    ToolFailed,
)
from trainwright_ors.client.loop import home, on_loop
from trainwright_ors.client.sids import new_sid
from trainwright_ors.client.types import Block, Generation, ToolResult, Toolset
from trainwright_ors.client.wire import Wire

_LOG = logging.getLogger("trainwright.ors")
_BAD_REQUEST, _NOT_FOUND = 400, 404
_EXISTS = "Session already exists"


class Session:
    """A session; `Client.open` makes it.

    Args:
        wire: The server.
        generation: The server's.
        place: The environment and the task.
        body: Of the request that creates it, secrets included.
        extra: Headers of that request.

    Attributes:
        place: The environment and the task, for messages.
        sid: The server's id of it. Not for logs or models.
        gone: Whether the server no longer knows it.
        doubtful: Whether a call was given up, so that nobody knows what state it is in; it takes no more calls.
    """

    def __init__(
        self, wire: Wire, generation: Generation, place: Place, body: Mapping[str, Any], extra: Mapping[str, str]
    ) -> None:
        self.place, self.sid = place, ""
        self.gone = self.doubtful = False
        self._wire, self._generation = wire, generation
        self._body, self._extra = body, extra
        self._ready = self._late = False
        self._process = os.getpid()
        self._creation: asyncio.Task[None] | None = None
        self._pings: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Session of {self.place}>"

    async def start(self) -> None:
        """Create it on the server; its setup goes on there. Where that fails, or is cancelled, it is ended again."""
        try:
            self.sid = await new_sid(self._wire, self.place)
            opened().add(self)
            self._creation = asyncio.create_task(self._create())
            await asyncio.shield(self._creation)  # once sent it is seen through, so that it can be ended for certain
        except BaseException:
            self._end_soon()
            raise
        self._pings = asyncio.create_task(self._keep_alive())

    @on_loop
    async def prompt(self) -> tuple[Block, ...]:
        """The task's prompt; waits for the setup, for `deadlines.setup` at most.

        Raises:
            EnvironmentFailed: The setup failed.
            OrsError: See `trainwright_ors.client.errors`.
        """
        answer = await self._get("prompt", "the prompt")
        self._ready = True
        return answers.blocks(answer, self.place, self._wire.hidden.mask)

    @on_loop
    async def task_tools(self) -> Toolset:
        """The environment's tools and this task's own; on servers of ors-sdk's kind it waits for the setup."""
        return answers.toolset(await self._get("task_tools", "the task's tools"), self.place)

    @on_loop
    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a tool, once; several calls may run side by side.

        Args:
            name: The tool's name, verbatim.
            arguments: Its input, a JSON object.

        Raises:
            ToolFailed: It was refused, or raised; the session goes on.
            OutcomeUnknown: It may or may not have run; the session takes no more calls.
            Deadline: It did not end within `deadlines.total`; the session takes no more calls.
            OrsError: See `trainwright_ors.client.errors`.
        """
        place = replace(self.place, tool=name[:80])
        self._check(place)
        _check_json(arguments, place)
        begun = time.monotonic()
        call = Call(self._wire, self._generation, (self.place.environment, "call"), self.sid, place, name, arguments)
        try:
            answer = await call.answer(self._patience)
        except (OutcomeUnknown, Deadline):
            self.doubtful = True
            raise
        except SessionGone:
            self.gone = True
            raise
        self._ready = True
        found = answers.result(answer, place, self._brief, self._wire.hidden.mask)
        return replace(found, seconds=time.monotonic() - begun, resumed=call.resumed)

    @on_loop
    async def close(self) -> None:
        """End it on the server, waiting for a creation under way; never raises, and may be called again.

        In a child that was forked after it was opened it does nothing: the session is the parent's.
        """
        if self._process != os.getpid() or not self.sid:
            return
        await asyncio.shield(self._end_soon())

    @property
    def _patience(self) -> float:
        """Seconds for a call; while the setup may be going on, those for it as well."""
        deadlines = self._wire.deadlines
        return deadlines.total + (0.0 if self._ready else deadlines.setup)

    def _brief(self, text: str) -> str:
        return self._wire.hidden.brief(text, self.sid, self._wire.limits.error)

    def _check(self, place: Place) -> None:
        if self._end is not None:
            raise SessionGone("the session was ended", place)
        if self.gone:
            raise SessionGone("the server no longer knows the session", place)
        if self.doubtful:
            raise OutcomeUnknown("an earlier call was given up, so the session takes no more calls", place)

    async def _get(self, path: str, what: str) -> Any:
        self._check(self.place)
        try:
            return await ask(
                self._wire, "GET", (self.place.environment, path), self.place,
                what=what, seconds=self._wire.deadlines.setup, sid=self.sid,
            )  # fmt: skip
        except SessionGone:
            self.gone = True
            raise

    async def _create(self) -> None:
        """Create it. The server says that it exists already where an attempt arrived whose answer was lost."""
        try:
            await ask(
                self._wire, "POST", ("create",), self.place, what="the session",
                seconds=self._wire.deadlines.setup, sid=self.sid, body=self._body, extra=self._extra,
            )  # fmt: skip
        except HttpRefused as refused:
            if refused.status != _BAD_REQUEST or _EXISTS not in refused.detail:
                raise

    async def _keep_alive(self) -> None:
        while not self.gone:
            await asyncio.sleep(self._wire.deadlines.ping)
            try:
                await ask(self._wire, "POST", ("ping",), self.place, what="a sign of life", sid=self.sid, body={})
            except SessionGone:
                self.gone = True
            except OrsError as error:
                self.gone = self.gone or (isinstance(error, HttpRefused) and error.status == _NOT_FOUND)
                _LOG.debug("a session gave no sign of life: %s", error)

    def _end_soon(self) -> asyncio.Task[None]:
        if self._end is None or (self._late and self._end.done()):
            self._end = asyncio.create_task(self._finish())
        return self._end

    async def _finish(self) -> None:
        self._late = False
        if self._pings is not None:
            self._pings.cancel()
        try:
            if self._creation is not None:
                await asyncio.wait({self._creation}, timeout=self._wire.deadlines.close)
            for path in ("delete", "delete_session"):
                await self._delete(path)
        except Deadline as error:  # the server is there but busy: the process's exit tries again
            self._say_so(error)
            self._late = True
        except OrsError as error:
            self._say_so(error)
        if not self._late:
            opened().discard(self)

    def _say_so(self, error: OrsError) -> None:
        """Warn once a server: when it goes, so do a hundred sessions."""
        warned = home().belongings.setdefault("warned", set())
        level = logging.DEBUG if self._wire.origin.base in warned else logging.WARNING
        warned.add(self._wire.origin.base)
        _LOG.log(level, "a session could not be ended; the server drops it in its own time: %s", error)

    async def _delete(self, path: str) -> None:
        if self.sid:
            seconds = self._wire.deadlines.close
            await ask(self._wire, "POST", (path,), self.place, what="its end", seconds=seconds, sid=self.sid, body={})


def _check_json(arguments: Mapping[str, Any], place: Place) -> None:
    """Refuse what JSON has no form for, before anything is sent."""
    try:
        json.dumps(arguments, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        reason = "too deep" if isinstance(error, RecursionError) else str(error)
        raise ToolFailed(f"the input is not JSON: {reason}", place, reason="input_validation") from None
