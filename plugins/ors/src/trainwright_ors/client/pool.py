"""One pool of connections a process, without cookies, redirects or anything that outlives a request."""

from __future__ import annotations

import socket
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

from trainwright_ors.client.loop import home

if TYPE_CHECKING:
    import httpx

_KEPT = 128  # idle connections
_KEPT_FOR = 1.5  # seconds; servers drop idle ones after 2 s and more, and a request must not meet that moment
_PROBING = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}  # a peer that vanished is noticed after 35 s


def pool() -> httpx.AsyncClient:
    """The process's connections; to be called on the client's loop."""
    belongings = home().belongings
    if "pool" not in belongings:
        belongings["pool"] = _make()
    made: httpx.AsyncClient = belongings["pool"]
    return made


def _make() -> httpx.AsyncClient:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT, keepalive_expiry=_KEPT_FOR)
    direct = httpx.AsyncHTTPTransport(limits=limits, socket_options=_options())
    local = {f"all://{host}": direct for host in ("localhost", "127.0.0.1", "[::1]")}  # never by a proxy
    made = httpx.AsyncClient(
        limits=limits,
        transport=None if _proxied() else direct,
        mounts=local,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        headers={"User-Agent": "trainwright-ors", "Accept-Encoding": "identity"},
    )
    return made


def _proxied() -> bool:
    from urllib.request import getproxies

    return any(getproxies().get(scheme) for scheme in ("http", "https", "all"))


def _options() -> list[tuple[int, int, int]]:
    """TCP keep-alive, as far as the system has it."""
    known = {getattr(socket, name): value for name, value in _PROBING.items() if hasattr(socket, name)}
    probing = [(socket.IPPROTO_TCP, option, value) for option, value in known.items()]
    return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *probing]
