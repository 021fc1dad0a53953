"""Requests to one server: where they go, what they carry, and which `Trouble` their failures are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from trainwright_ors.client.deadlines import Deadlines, Limits
from trainwright_ors.client.errors import OrsError, Place, ProtocolError
from trainwright_ors.client.origin import Origin
from trainwright_ors.client.pool import pool
from trainwright_ors.client.refusals import refusal
from trainwright_ors.client.secrets import Hidden
from trainwright_ors.client.trouble import Busy, Lost, NotSent, Starting

if TYPE_CHECKING:
    import httpx

_OF_ERROR = 64 * 1024  # bytes that are read of an error's body


@dataclass(frozen=True)
class Wire:
    """The way to one server.

    Attributes:
        origin: Where requests go, and nowhere else.
        api_key: Sent as `X-API-Key` with each of them.
        deployment: What a hosted platform routes by, `owner/name`.
        hidden: Rids messages of secrets.
        deadlines: See `Deadlines`.
        limits: See `Limits`.
    """

    origin: Origin
    api_key: SecretStr | None
    deployment: str | None
    hidden: Hidden
    deadlines: Deadlines
    limits: Limits = field(default_factory=Limits)

    @asynccontextmanager
    async def send(
        self,
        method: str,
        path: tuple[str, ...],
        place: Place,
        *,
        sid: str = "",
        body: Mapping[str, Any] | None = None,
        extra: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """One attempt at a request; its answer with its body unread.

        Args:
            method: `GET` or `POST`.
            path: The segments below the base.
            place: For messages.
            sid: The session's id.
            body: Sent as JSON.
            extra: More headers.
            patience: Seconds until the answer begins; None waits.

        Raises:
            Trouble: Of its four kinds.
            OrsError: The server refused it, or redirects it.
        """
        import httpx

        with _told(place):
            request = self._request(method, path, sid, body, extra)
            async with _within(patience, "the server did not answer"):
                response = await pool().send(request, stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    await self._refuse(response, place, sid)
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise ProtocolError("the answer is compressed, which was not asked for", place)
                yield response
            finally:
                await response.aclose()

    def _request(
        self,
        method: str,
        path: tuple[str, ...],
        sid: str,
        body: Mapping[str, Any] | None,
        extra: Mapping[str, str] | None,
    ) -> httpx.Request:
        import httpx

        headers = {"X-Session-ID": sid} if sid else {}
        headers |= {"X-API-Key": self.api_key.get_secret_value()} if self.api_key else {}
        headers |= {"X-Deployment": self.deployment} if self.deployment else {}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        content = None if body is None else json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
        connect = self.deadlines.connect
        return pool().build_request(
            method,
            self.origin.url(*path),
            headers=headers | dict(extra or {}),
            content=content,
            timeout=httpx.Timeout(connect=connect, pool=connect, write=self.deadlines.idle, read=None),
        )

    async def _refuse(self, response: httpx.Response, place: Place, sid: str) -> None:
        """Raise what an answer other than 200 means."""
        import httpx

        status = response.status_code
        if status in (httpx.codes.TOO_MANY_REQUESTS, 502, 503, 504):
            pause = _pause(response.headers.get("retry-after", ""))
            if status == httpx.codes.SERVICE_UNAVAILABLE and response.headers.get("x-backend-state") == "starting":
                raise Starting("the environment is still being set up", pause)
            raise Busy(f"the server answered HTTP {status}", pause, status)
        text = b""
        try:
            async for piece in self.pieces(response, _OF_ERROR, lambda: self.deadlines.idle, place, cut=True):
                text += piece
        except Lost:
            pass  # what came of it will do
        location = response.headers.get("location", "")
        raise refusal(status, text, location, place, lambda said: self.hidden.brief(said, sid, self.limits.error))

    async def pieces(
        self,
        response: httpx.Response,
        limit: int | None,
        idle: Callable[[], float | None],
        place: Place,
        *,
        cut: bool = False,
    ) -> AsyncIterator[bytes]:
        """The body as it comes.

        Args:
            response: Of `send`.
            limit: Bytes; None for no bound.
            idle: Seconds without a byte after which the connection counts as lost, None to wait; asked each time.
            place: For messages.
            cut: End at the limit instead of raising.

        Raises:
            Lost: The connection ended or fell silent.
            ProtocolError: The body is longer than `limit`.
        """
        read = 0
        body = response.aiter_raw()
        while True:
            with _told(place):
                async with _within(idle(), "the server fell silent"):
                    piece = await anext(body, None)
            if piece is None:
                return
            read += len(piece)
            if limit is not None and read > limit:
                if cut:
                    return
                raise ProtocolError(f"the answer is longer than {limit:,} bytes", place)
            yield piece

    async def whole(self, response: httpx.Response, place: Place) -> bytes:
        """The body in one piece, bounded by `limits.answer`; once begun it may not fall silent.

        Raises:
            Lost: See `pieces`.
            ProtocolError: See `pieces`.
        """
        found = [piece async for piece in self.pieces(response, self.limits.answer, lambda: self.deadlines.idle, place)]
        return b"".join(found)


class _told:  # noqa: N801 (used like a function)
    """Turns httpx's errors into `Trouble`, without what they know of the request."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        import httpx

        if not isinstance(error, httpx.HTTPError | httpx.StreamError | httpx.InvalidURL):
            return
        why = type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
            raise NotSent(f"no connection ({why})") from None
        if isinstance(error, httpx.LocalProtocolError | httpx.InvalidURL | httpx.UnsupportedProtocol):
            raise OrsError(
                "the request cannot be sent: a header or the URL holds what HTTP does not allow",
                self._place,
                remedy="look at api_key, deployment and the URL for stray characters",
            ) from None
        raise Lost(f"the connection was lost ({why})") from None


@asynccontextmanager
async def _within(seconds: float | None, why: str) -> AsyncIterator[None]:
    """Bound a wait; once it is over, the connection counts as lost, and this is why."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise Lost(why) from None


def _pause(header: str) -> float | None:
    """Retry-After in seconds; dates are left alone."""
    return float(header) if header.isascii() and header.isdigit() and len(header) < 6 else None
