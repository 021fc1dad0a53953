"""How long anything may take, and how large an answer may be."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

MIB = 2**20


@dataclass(frozen=True)
class Deadlines:
    """Upper bounds on time, in seconds.

    Attributes:
        connect: Until there is a connection, further attempts included.
        idle: An answer that has begun, without a further byte; servers send a comment every 10 s while a tool runs. It
            is then resumed or asked for again, where that is safe.
        total: A tool call from its first byte to its result, resumptions included.
        setup: A session from its creation to its first prompt, tools or call.
        request: Any other request, from the connection to the end of the answer; for lists of tasks, each page.
        resume: How long a lost call is looked for while there is no connection. Servers keep a result for 60 s.
        close: The end of a session, and of all sessions at the process's exit.
        ping: Not a bound but a pause: between two signs of life of a session. Hosted servers forget one after 120 s.
    """

    connect: float = 10.0
    idle: float = 30.0
    total: float = 600.0
    setup: float = 600.0
    request: float = 60.0
    resume: float = 60.0
    close: float = 10.0
    ping: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"deadline {field.name!r} is {value}; it must be a positive number of seconds")


@dataclass(frozen=True)
class Limits:
    """Upper bounds on size.

    Attributes:
        answer: Bytes of one JSON answer or one tool's result.
        element: Bytes of one task in a list of tasks; the list itself has no bound, it is read as a stream.
        error: Characters of a server's error text that are kept.
    """

    answer: int = 64 * MIB
    element: int = 64 * MIB
    error: int = 2000
