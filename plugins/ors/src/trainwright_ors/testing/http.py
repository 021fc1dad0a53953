"""As much of HTTP/1.1 as a test server needs, with every byte of an answer in reach."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_LARGEST = 1 << 26  # bytes of a body


class Cut(Exception):  # noqa: N818 (an event, not an error)
    """Raised where an answer comes from: the connection is reset there, in the middle of whatever was said."""


class MalformedRequestError(ValueError):
    """What came is no HTTP that this server reads."""


@dataclass(frozen=True)
class Request:
    """What was asked.

    Attributes:
        method: `GET` or `POST`.
        path: As sent, with the query.
        headers: By their names in lower case.
        body: The bytes.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def segments(self) -> list[str]:
        """The parts of the path, without the query."""
        return [part for part in self.path.partition("?")[0].split("/") if part]

    @property
    def sid(self) -> str:
        """The session's id; empty where none was sent."""
        return self.headers.get("x-session-id", "").strip()

    def json(self) -> Any:
        """The body, read; None where there is none or it is no JSON."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError:
            return None


@dataclass
class Reply:
    """An answer.

    Attributes:
        body: All of it, or its pieces as they come.
        status: The HTTP status.
        content_type: The header of that name.
        headers: Others.
    """

    body: bytes | AsyncIterator[bytes] = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, status: int = 200, **headers: str) -> Reply:
        """An answer in JSON; underscores in a header's name stand for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"), status, headers=named)

    @classmethod
    def error(cls, status: int, detail: object, **headers: str) -> Reply:
        """An error as servers of both kinds have it."""
        return cls.json({"detail": detail}, status, **headers)

    @classmethod
    def stream(cls, pieces: AsyncIterator[bytes]) -> Reply:
        """A stream of events."""
        return cls(pieces, content_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None where it has ended.

    Raises:
        MalformedRequestError: It is none, or larger than a test would send.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise MalformedRequestError("the request ends in its head") from None
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    try:
        method, path, _ = first.split(" ")
        length = int(headers.get("content-length", "0"))
    except ValueError:
        raise MalformedRequestError(f"no request line or length: {first[:80]!r}") from None
    if length > _LARGEST or "transfer-encoding" in headers:
        raise MalformedRequestError("the body is too large, or has no length")
    return Request(method, path, headers, await reader.readexactly(length))


async def write_reply(writer: asyncio.StreamWriter, reply: Reply) -> None:
    """Send an answer: with its length where it is whole, else in chunks.

    Raises:
        Cut: The answer's source said so; what came before it has been sent.
    """
    whole = isinstance(reply.body, bytes)
    framing = f"content-length: {len(reply.body)}" if isinstance(reply.body, bytes) else "transfer-encoding: chunked"
    named = {"content-type": reply.content_type, **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} .", framing, *(f"{name}: {value}" for name, value in named.items()), "", ""]
    writer.write("\r\n".join(lines).encode("latin-1"))
    if isinstance(reply.body, bytes):
        writer.write(reply.body)
    else:
        async for piece in reply.body:
            if piece:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
    if not whole:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
