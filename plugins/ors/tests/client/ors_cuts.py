"""Calls through connections that are cut at random points, and what came of them."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from trainwright_ors.client import Client, Deadlines, OrsError, OutcomeUnknown, Unreachable

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: the connection is not ended but dropped
_LIVES = 0.25  # the share of connections that are left alone
_REACH = 2500  # bytes; a call has a request of some 400 and an answer of some 500 and up


@dataclass
class Tally:
    """What came of the calls.

    Attributes:
        answered: The nonces of calls that gave a result.
        unknown: Those of calls that were given up.
        refused: Those of calls that were not made.
        resumed: How often a call's stream was found again.
        cut: How many connections were cut.
    """

    answered: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    resumed: int = 0
    cut: int = 0


class Cutter:
    """A TCP proxy that ends connections after a random number of bytes in a random direction.

    Args:
        url: Where it passes bytes on to.
        seed: Of its choices.
        tally: Counts what it cut.
    """

    def __init__(self, url: str, seed: int, tally: Tally) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._chance = random.Random(seed)
        self._tally = tally

    @asynccontextmanager
    async def running(self):
        """Its own URL, while it runs."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _connection(self, reader, writer):
        chance = self._chance
        up, down, end = 10**12, 10**12, chance.random()
        if chance.random() > _LIVES:
            if chance.random() < 0.4:
                up = chance.randrange(_REACH)
            else:
                down = chance.randrange(_REACH)
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        pumps = [
            asyncio.ensure_future(self._pump(reader, back, up)),
            asyncio.ensure_future(self._pump(there, writer, down)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        for side in (writer, back):
            if end < 0.5 and not side.is_closing():
                side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            side.close()

    async def _pump(self, reader, writer, left):
        while piece := await reader.read(65536):
            writer.write(piece[:left])
            await writer.drain()
            left -= len(piece)
            if left <= 0:
                self._tally.cut += 1
                return


async def call_through_cuts(url: str, calls: int, seed: int, side_by_side: int = 16) -> Tally:
    """Make calls, each with a nonce of its own, over sessions that are replaced when a call is given up.

    Args:
        url: A server with `mathenv` and its tool `once`.
        calls: How many.
        seed: Of the cuts and of the calls' inputs.
        side_by_side: How many sessions at once.
    """
    tally = Tally()
    chance = random.Random(seed)
    nonces = iter([(f"{seed}-{n}", chance.choice((0, 0, 5000, 20_000)), chance.random() * 0.02) for n in range(calls)])
    async with Cutter(url, seed, tally).running() as cut_url:
        client = Client(cut_url, deadlines=Deadlines(connect=5, idle=5, total=60, setup=60, request=20, close=5))
        await asyncio.gather(*(_calls(client, nonces, tally) for _ in range(side_by_side)))
    return tally


async def _calls(client, nonces, tally):
    session = None
    for nonce, size, seconds in nonces:
        session = session or await _opened(client)
        try:
            result = await session.call("once", {"nonce": nonce, "size": size, "seconds": seconds})
        except (OutcomeUnknown, Unreachable) as error:
            (tally.unknown if isinstance(error, OutcomeUnknown) else tally.refused).add(nonce)
            await session.close()
            session = None
        else:
            assert result.blocks[0].text == nonce + "." * size
            tally.answered.add(nonce)
            tally.resumed += result.resumed
    if session is not None:
        await session.close()


async def _opened(client):
    while True:
        try:
            return await client.open("mathenv", split="train", index=0)
        except OrsError:
            await asyncio.sleep(0.05)
