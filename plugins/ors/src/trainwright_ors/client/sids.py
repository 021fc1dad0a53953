"""The ids that servers give to sessions before there is anything in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from trainwright_ors.client.ask import ask, decoded, media_type, persist
from trainwright_ors.client.calls import drain, events
from trainwright_ors.client.errors import Place, ProtocolError
from trainwright_ors.client.trouble import Lost
from trainwright_ors.client.wire import Wire

if TYPE_CHECKING:
    import httpx

_WHAT = "a session"
_LONGEST = 256  # characters


async def new_sid(wire: Wire, place: Place) -> str:
    """Ask for an id. Nothing runs for it on the server yet, so a lost answer is asked for again."""

    async def attempt() -> str:
        async with wire.send("POST", ("create_session",), place, body={}, patience=wire.deadlines.request) as response:
            if media_type(response.headers.get("content-type", "")) == "application/json":
                return _checked(_sid(decoded(await wire.whole(response, place), _WHAT, place)), place)
            return _checked(await _streamed(response, wire, place), place)

    return await persist(attempt, wire, place, wire.deadlines.setup, _WHAT)


@asynccontextmanager
async def routed(wire: Wire, place: Place) -> AsyncIterator[str]:
    """An id for requests that need none of their own: a hosted platform finds the server by it; elsewhere empty."""
    if wire.deployment is None:
        yield ""
        return
    sid = await new_sid(wire, place)
    try:
        yield sid
    finally:
        await ask(wire, "POST", ("delete_session",), place, what="its end", sid=sid, body={})


async def _streamed(response: httpx.Response, wire: Wire, place: Place) -> str:
    """The `sid` of the end's JSON where it has one, else the task's name."""
    named = ""
    async with aclosing(events(response, wire, place, lambda: wire.deadlines.idle)) as stream:
        async for event in stream:
            if event.name == "task_id":
                named = event.data
            elif event.name == "end":
                await drain(stream)
                return (_sid(decoded(event.data, _WHAT, place)) if event.data.strip() else "") or named
            elif event.name == "error":
                raise ProtocolError(f"the server gives no session: {wire.hidden.brief(event.data)}", place)
    raise Lost("the stream ended without a session")


def _sid(answer: Any) -> str:
    found = answer.get("sid") if isinstance(answer, dict) else None
    return found if isinstance(found, str) else ""


def _checked(sid: str, place: Place) -> str:
    """An id that fits a header, and nothing else."""
    if not sid or len(sid) > _LONGEST or not (sid.isascii() and sid.isprintable()):
        raise ProtocolError("the server's id of the session is empty, too long or not printable ASCII", place)
    return sid
