"""What a server's HTTP errors mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from trainwright_ors.client.errors import EnvironmentFailed, HttpRefused, OrsError, Place, ProtocolError, SessionGone

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _GONE, _FAILED = 401, 403, 404, 410, 500
_NO_SESSION = "Active environment not found"


def refusal(status: int, body: bytes, location: str, place: Place, brief: Callable[[str], str]) -> OrsError:
    """The error that an answer other than 200 stands for.

    Args:
        status: Its HTTP status.
        body: Its body, or the beginning of it.
        location: Its header `Location`.
        place: For the message.
        brief: Rids text of what must not be seen.
    """
    if 300 <= status < 400:
        return _redirected(status, location, place, brief)
    said = brief(_detail(body)) or "no reason given"
    if status == _GONE or (status == _NOT_FOUND and _NO_SESSION in said):
        return SessionGone(f"the server no longer knows the session ({said})", place)
    if status == _FAILED:
        return EnvironmentFailed(f"the environment's own code failed: {said}", place, status=status)
    remedy = "give the key that this server asks for as `api_key`" if status in (_UNAUTHORIZED, _FORBIDDEN) else ""
    return HttpRefused(f"the server answered HTTP {status}: {said}", place, status=status, remedy=remedy)


def _redirected(status: int, location: str, place: Place, brief: Callable[[str], str]) -> ProtocolError:
    try:
        host = urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:
        host = "an unreadable address"
    target = f"to {brief(host)}" if host else "elsewhere on itself"
    return ProtocolError(
        f"the server redirects {target} (HTTP {status}); redirects are not followed, so that no key goes astray",
        place,
        remedy="give the server's final URL, and an environment that it lists",
    )


def _detail(body: bytes) -> str:
    """The `detail` of an error's JSON, as text; else the body itself."""
    text = body.decode(errors="replace")
    try:
        detail = json.loads(text)["detail"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return text
    return "; ".join(_item(item) for item in detail) if isinstance(detail, list) else str(detail)


def _item(item: Any) -> str:
    """One entry of a 422: where and what, without the input that may hold a secret."""
    if not isinstance(item, dict):
        return str(item)
    place = ".".join(str(part) for part in item.get("loc", ())) if isinstance(item.get("loc"), list) else ""
    return f"{place}: {item.get('msg', '')}" if place else str(item.get("msg", ""))
