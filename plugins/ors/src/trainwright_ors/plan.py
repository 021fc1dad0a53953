"""What is asked of a server before training: which environments, how many tasks, which tools. A few requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainwright_ors.client import Client, OrsError, ServerInfo, Toolset
from trainwright_ors.client.errors import Place
from trainwright_ors.mixing import arrange, chosen
from trainwright_ors.rollout import TaskKey, open_task
from trainwright_ors.settings import Settings, TaskSource
from trainwright_ors.tools import checked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Rows:
    """Tasks in the order of training.

    Attributes:
        sources: Environment and split, by number.
        counts: How many tasks each split has.
        source: The number of each row's source. (n)
        index: The index of each row's task in its split. (n)
    """

    sources: tuple[tuple[str, str], ...]
    counts: tuple[int, ...]
    source: NDArray[np.uint16]
    index: NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """What a server offers to a run.

    Attributes:
        server: What it is.
        train: The tasks to train on.
        eval: The tasks to evaluate on; None for none.
        tools: The tools by environment.
    """

    server: ServerInfo
    train: Rows
    eval: Rows | None
    tools: dict[str, Toolset]

    @property
    def identity(self) -> dict[str, Any]:
        """What the tasks depend on, for a run's manifest."""
        named = {"train": self.train} | ({"eval": self.eval} if self.eval else {})
        splits = {
            name: [f"{environment}/{split}: {count} tasks" for (environment, split), count in _pairs(rows)]
            for name, rows in named.items()
        }
        return {"server": f"{self.server.generation} {self.server.version}".strip(), **splits}


def _pairs(rows: Rows) -> zip[tuple[tuple[str, str], int]]:
    return zip(rows.sources, rows.counts, strict=True)


async def make_plan(client: Client, settings: Settings, seed: int) -> Plan:
    """Ask the server.

    Raises:
        OrsError: It has no such environment, split or task, or cannot be reached.
    """
    server = await client.describe()
    order = seed if settings.shuffle else None
    train = await _rows(client, settings.sources, order)
    evaluation = await _rows(client, settings.eval_sources, None) if settings.eval_sources else None
    tools: dict[str, Toolset] = {}
    for rows in [train] + ([evaluation] if evaluation else []):
        for number, (environment, split) in enumerate(rows.sources):
            if environment not in tools:
                first = TaskKey(environment, split, int(rows.index[rows.source == number][0]))
                tools[environment] = await _tools(client, first, settings)
    return Plan(server, train, evaluation, tools)


async def _tools(client: Client, first: TaskKey, settings: Settings) -> Toolset:
    """An environment's tools; where all belong to tasks, those of the first."""
    toolset = checked(await client.tools(first.environment), Place(first.environment))
    answer = settings.answer_tool
    if toolset.tools or toolset.terminal or answer is not None:
        return toolset
    opened = await open_task(client, first, settings.retries)
    await opened.session.close()
    return opened.tools


async def _rows(client: Client, sources: Sequence[TaskSource], seed: int | None) -> Rows:
    found = await asyncio.gather(*(_source(client, source) for source in sources))
    weights = [source.weight for source in sources if source.weight is not None] or None
    source, index = arrange([tasks for _, _, tasks in found], weights, seed)
    return Rows(tuple(name for name, _, _ in found), tuple(count for _, count, _ in found), source, index)


async def _source(client: Client, source: TaskSource) -> tuple[tuple[str, str], int, NDArray[np.int64]]:
    environment = await client.resolve(source.environment)
    place = Place(environment)
    names = [split.name for split in await client.splits(environment)]
    if source.split not in names:
        raise OrsError(f"there is no split {source.split!r}", place, remedy=f"it has: {', '.join(names)[:400]}")
    count = await client.num_tasks(environment, source.split)
    if count == 0:
        raise OrsError(f"the split {source.split!r} has no tasks", place)
    try:
        return (environment, source.split), count, chosen(count, source.num_tasks, source.indices)
    except IndexError as error:
        raise OrsError(f"the split {source.split!r} has {count:,} tasks, and no index {error}", place) from None
