"""What a server can do wrong, for `FakeServer.inject`: each is a function of the request and of the usual handler.

A fault of your own is a coroutine function `(request, usual) -> Reply`; `await usual(request)` is the right answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from trainwright_ors.testing.http import Cut, Reply, Request

Handler = Callable[[Request], Awaitable[Reply]]
Fault = Callable[[Request, Handler], Awaitable[Reply]]


def status(code: int, detail: object = "a fault", **headers: str) -> Fault:
    """Answer with an error before anything runs; underscores in a header's name stand for dashes."""

    async def fault(request: Request, usual: Handler) -> Reply:
        return Reply.error(code, detail, **headers)

    return fault


def starting() -> Fault:
    """Say that the session's setup still runs, as openreward does."""
    return status(503, "Environment still starting.", X_Backend_State="starting", Retry_After="0")


def delay(seconds: float) -> Fault:
    """Answer rightly, but late."""

    async def fault(request: Request, usual: Handler) -> Reply:
        await asyncio.sleep(seconds)
        return await usual(request)

    return fault


def hang() -> Fault:
    """Accept the request and never say a word."""

    async def fault(request: Request, usual: Handler) -> Reply:
        await asyncio.Event().wait()
        raise Cut

    return fault


def cut(after: int = 0, *, runs: bool = True) -> Fault:
    """Cut the connection after so many bytes of the answer's body.

    Args:
        after: Bytes of the body that still arrive; 0 cuts behind the head, -1 before any answer at all.
        runs: Whether the request takes effect.
    """

    async def fault(request: Request, usual: Handler) -> Reply:
        reply = await usual(request) if runs else Reply()
        if after < 0:
            await _run_through(reply)
            raise Cut
        return replace(reply, body=_first(_pieces(reply), after))

    return fault


def cut_after_event(name: str, count: int = 1) -> Fault:
    """Cut a stream behind its first events of a name, as `task_id` or `chunk`."""

    async def fault(request: Request, usual: Handler) -> Reply:
        async def pieces(reply: Reply) -> AsyncIterator[bytes]:
            left = count
            async for piece in _pieces(reply):
                yield piece
                left -= piece.startswith(f"event: {name}\r\n".encode())
                if not left:
                    raise Cut

        reply = await usual(request)
        return replace(reply, body=pieces(reply))

    return fault


def replaced(body: bytes | object, content_type: str = "application/json", code: int = 200) -> Fault:
    """Answer with something else: bytes as they are, or anything that JSON has a form for."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def fault(request: Request, usual: Handler) -> Reply:
        return Reply(raw, code, content_type)

    return fault


def changed(change: Callable[[Any], Any]) -> Fault:
    """Change the right answer, an answer in JSON: `change` gets the value and gives another."""

    async def fault(request: Request, usual: Handler) -> Reply:
        reply = await usual(request)
        if not isinstance(reply.body, bytes) or reply.status != 200:
            return reply
        return replace(reply, body=json.dumps(change(json.loads(reply.body))).encode())

    return fault


def endless(piece: bytes = b"event: chunk\r\ndata: more\r\n\r\n") -> Fault:
    """Stream without an end."""

    async def fault(request: Request, usual: Handler) -> Reply:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield piece
                await asyncio.sleep(0)

        return Reply.stream(pieces())

    return fault


def redirect(location: str, code: int = 308) -> Fault:
    """Send the client elsewhere."""

    async def fault(request: Request, usual: Handler) -> Reply:
        return Reply(b"", code, headers={"location": location})

    return fault


async def _pieces(reply: Reply) -> AsyncIterator[bytes]:
    if isinstance(reply.body, bytes):
        yield reply.body
        return
    async for piece in reply.body:
        yield piece


async def _first(pieces: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if len(piece) >= count:
            yield piece[:count]
            raise Cut
        count -= len(piece)
        yield piece
    raise Cut


async def _run_through(reply: Reply) -> None:
    async for _ in _pieces(reply):
        pass
