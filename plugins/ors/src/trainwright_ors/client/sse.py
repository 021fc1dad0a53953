"""Server-sent events, byte by byte as the WHATWG's standard reads them.

Lines end at CR, LF or CRLF and nowhere else (U+2028 is text), one space after the colon goes and no more, and an event
that no blank line ended is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        name: Its `event` field; `message` where it has none.
        data: Its `data` fields, joined by newlines.
    """

    name: str
    data: str


class SseError(ValueError):
    """The stream is no stream of events: not UTF-8, or larger than allowed."""


class SseParser:
    """Events from a stream that arrives in pieces of any size.

    Args:
        limit: Bytes that one line, and the data of one event, may have.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []  # of the line that is not ended yet
        self._pending = 0
        self._after_cr = False
        self._begun = False
        self._name = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[Event]:
        """The events that these bytes complete.

        Raises:
            SseError: A line or an event is too large, or is not UTF-8.
        """
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        *ended, rest = _END.split(piece)
        self._after_cr = piece.endswith(b"\r")
        events = [event for line in ended if (event := self._line(self._whole(line))) is not None]
        self._keep(rest)
        return events

    def _keep(self, piece: bytes) -> None:
        self._pending += len(piece)
        if self._pending > self._limit:
            raise SseError(f"a line of its stream is longer than {self._limit:,} bytes")
        if piece:
            self._pieces.append(piece)

    def _whole(self, end: bytes) -> bytes:
        self._keep(end)
        line = b"".join(self._pieces)
        self._pieces, self._pending = [], 0
        if not self._begun:
            self._begun, line = True, line.removeprefix(_BOM)
        return line

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._name = _text(value)
        elif field == b"data":
            self._size += len(value) + 1
            if self._size > self._limit:
                raise SseError(f"an event of its stream is larger than {self._limit:,} bytes")
            self._data.append(_text(value))
        return None

    def _dispatch(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data, self._size = "", [], 0
        return Event(name or "message", "\n".join(data)) if data else None


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise SseError(f"its stream is not UTF-8: {error.reason}") from None
