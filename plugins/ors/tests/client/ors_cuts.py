"""Calls through connections that are cut at random points, and what came of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from trainwright_ors.client import Client, Deadline, Deadlines, OrsError, OutcomeUnknown, Unreachable, run
from trainwright_ors.testing import CuttingProxy


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


def _sooner_or_later(chance: random.Random) -> int:
    """Every connection is cut: half of them within the first call or two, the others within thirty or so."""
    return chance.randrange(2_500 if chance.random() < 0.5 else 40_000)


def call_through_cuts(url: str, calls: int, seed: int, side_by_side: int = 16) -> Tally:
    """Make calls, each with a nonce of its own, over sessions that are replaced when a call is given up.

    Args:
        url: A server with `mathenv` and its tool `once`.
        calls: How many.
        seed: Of the cuts and of the calls' inputs.
        side_by_side: How many sessions at once.
    """
    tally, chance = Tally(), random.Random(seed)
    calling = iter([(f"{seed}-{n}", chance.choice((0, 0, 5000, 20_000)), chance.random() * 0.02) for n in range(calls)])
    with CuttingProxy(url, _sooner_or_later, seed) as proxy:
        client = Client(proxy.url, deadlines=Deadlines(connect=5, idle=5, total=60, setup=60, request=20, close=5))

        async def all_of_them() -> None:
            await asyncio.gather(*(_calls(client, calling, tally) for _ in range(side_by_side)))

        run(all_of_them())
        tally.cut = proxy.cuts
    return tally


async def _calls(client: Client, calling: Iterator[tuple[str, int, float]], tally: Tally) -> None:
    session = None
    for nonce, size, seconds in calling:
        session = session or await _opened(client)
        try:
            result = await session.call("once", {"nonce": nonce, "size": size, "seconds": seconds})
        except (Deadline, OutcomeUnknown, Unreachable) as error:
            (tally.refused if isinstance(error, Unreachable) else tally.unknown).add(nonce)
            await session.close()
            session = None
        else:
            assert result.blocks[0].text == nonce + "." * size
            tally.answered.add(nonce)
            tally.resumed += result.resumed
    if session is not None:
        await session.close()


async def _opened(client: Client):
    while True:
        try:
            return await client.open("mathenv", split="train", index=0)
        except OrsError:
            await asyncio.sleep(0.05)
