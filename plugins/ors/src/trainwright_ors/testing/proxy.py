"""A TCP proxy that cuts connections, to see what a client makes of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from urllib.parse import urlsplit

from trainwright_ors.testing.threads import Listening

Budget = Callable[[random.Random], int | None]
_BUFFER = 1 << 16


def anywhere(chance: random.Random) -> int | None:
    """Three connections of four end somewhere in their first 3,000 bytes, which is within the first calls."""
    return chance.randrange(3_000) if chance.random() < 0.75 else None


class CuttingProxy(Listening):
    """Passes on what comes, and resets a connection after a number of bytes in both directions together.

    Args:
        target: The server's URL.
        budget: Draws the number of bytes for a connection; None leaves it alone.
        seed: Of what it draws from.

    Attributes:
        cutting: Whether new connections are cut at all; may be set at any time.
        cuts: How many connections have been cut.
    """

    def __init__(self, target: str, budget: Budget = anywhere, seed: int = 0) -> None:
        super().__init__()
        parts = urlsplit(target)
        self._target = parts.hostname or "127.0.0.1", parts.port or 80
        self._budget, self._chance = budget, random.Random(seed)
        self.cutting, self.cuts = True, 0

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        drawn = self._budget(self._chance) if self.cutting else None
        left = [float("inf") if drawn is None else drawn]  # shared by the two directions
        there, back = await asyncio.open_connection(*self._target)
        ways = [asyncio.create_task(way) for way in (self._pass(reader, back, left), self._pass(there, writer, left))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if left[0] <= 0:
                self.cuts += 1
                writer.transport.abort()
        finally:
            for way in ways:
                way.cancel()
            back.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, left: list[float]) -> None:
        while piece := await source.read(_BUFFER):
            allowed = piece if len(piece) < left[0] else piece[: int(left[0])]
            left[0] -= len(piece)
            sink.write(allowed)
            await sink.drain()
            if left[0] <= 0:
                await asyncio.sleep(0.005)  # the last bytes are on their way before the reset overtakes them
                return
