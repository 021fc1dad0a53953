"""The one background thread on whose loop every connection, session and ping of the process lives.

A forked child starts with none of it: sessions stay its parent's.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import socket
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from trainwright_ors.client.errors import Deadline

_T = TypeVar("_T")
_P = ParamSpec("_P")


class _Loop(asyncio.SelectorEventLoop):
    """A loop that can still resolve names while the interpreter exits, when executors take no more work."""

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        """As the base class; in this thread where the executor is shut down already."""
        try:
            return await super().getaddrinfo(host, port, **hints)
        except RuntimeError:
            return socket.getaddrinfo(host, port, **hints)


class Home:
    """The loop of this process, its thread, and what lives on them.

    Attributes:
        loop: Runs until the process ends.
        belongings: Slots for what exists once a process: the connection pool, the open sessions.
    """

    def __init__(self) -> None:
        self.loop = _Loop()
        self.belongings: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._live, name="trainwright-ors", daemon=True)
        self._thread.start()

    @property
    def here(self) -> bool:
        """Whether the caller runs in the loop's thread."""
        return threading.get_ident() == self._thread.ident

    def submit(self, work: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Start work on the loop from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def _live(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


_home: Home | None = None
_lock = threading.RLock()  # a signal's handler may come in between


def home() -> Home:
    """The process's loop, started where it does not run yet."""
    global _home  # noqa: PLW0603 (one a process)
    with _lock:
        if _home is None:
            _home = Home()
        return _home


def started() -> Home | None:
    """The process's loop, or None where nothing ever asked for it."""
    return _home


def run(work: Coroutine[Any, Any, _T], timeout: float | None = None) -> _T:
    """Wait for a coroutine of the client from plain code, in any thread but the loop's own.

    Args:
        work: The coroutine. Interrupted (Ctrl-C) or late, it is cancelled.
        timeout: Seconds; None leaves it to the client's own deadlines.

    Raises:
        Deadline: It took longer than `timeout`.
        RuntimeError: Called from a coroutine of the client itself, which would wait for ever.
    """
    if home().here:
        work.close()
        raise RuntimeError("run() waits for the client's loop and cannot be called on it; await the coroutine")
    future = home().submit(work)
    try:
        result: _T = future.result(timeout)
    except TimeoutError:
        if future.done():  # the coroutine's own
            raise
        raise Deadline(f"no result within {timeout:g} s") from None
    finally:
        future.cancel()
    return result


def iterate(pages: AsyncGenerator[_T, None]) -> Iterator[_T]:
    """Read an asynchronous generator of the client from plain code."""
    done = object()
    try:
        while (page := run(_next(pages, done))) is not done:
            yield page  # type: ignore[misc]
    finally:
        run(pages.aclose())


async def _next(pages: AsyncGenerator[_T, None], done: object) -> _T | object:
    return await anext(pages, done)


def on_loop(method: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Let a coroutine be awaited on any loop: it runs on the process's own."""

    @wraps(method)
    async def anywhere(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        if home().here:
            return await method(*args, **kwargs)
        elsewhere: Awaitable[_T] = asyncio.wrap_future(home().submit(method(*args, **kwargs)))
        return await elsewhere

    return anywhere


def _forget() -> None:
    global _home, _lock
    _home, _lock = None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
