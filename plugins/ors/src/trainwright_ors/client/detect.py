"""Which kind of server it is."""

from __future__ import annotations

from typing import Any

from trainwright_ors.client import answers
from trainwright_ors.client.ask import ask
from trainwright_ors.client.errors import HttpRefused, Place, ProtocolError
from trainwright_ors.client.types import ServerInfo
from trainwright_ors.client.wire import Wire

_ABSENT = (404, 405)


async def detect(wire: Wire, sid: str) -> ServerInfo:
    """Ask a server for its version, which only openreward's tell, and for its environments.

    Args:
        wire: The server.
        sid: What a hosted platform routes by; else empty.

    Raises:
        OrsError: It is no ORS server, or cannot be reached.
    """
    listed = await ask(wire, "GET", ("list_environments",), Place(), what="the list of environments", sid=sid)
    names = answers.environments(listed, Place())
    version = await _optional(wire, ("version",), sid)
    if version is not None and isinstance(version.get("version"), str):
        return ServerInfo("openreward", version["version"][:80], names)
    tools = await _optional(wire, (names[0], "tools"), sid) or {}
    return ServerInfo("openreward" if "supports_score_group" in tools else "ors", "", names)


async def _optional(wire: Wire, path: tuple[str, ...], sid: str) -> dict[str, Any] | None:
    """An object that a server may lack; ors-sdk's redirect there."""
    try:
        answer = await ask(wire, "GET", path, Place(), what="the server's version", sid=sid)
    except HttpRefused as refused:
        if refused.status not in _ABSENT:
            raise
        return None
    except ProtocolError:
        return None
    return answer if isinstance(answer, dict) else None
