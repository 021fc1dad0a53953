"""What is asked of a server before training: which environments, how many tasks, which tools. A few requests."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trainwright_ors.client import Client, OrsError, Place, ServerInfo, Toolset
from trainwright_ors.mixing import arrange, chosen
from trainwright_ors.rollout import TaskKey, open_task
from trainwright_ors.settings import Settings, TaskSource
from trainwright_ors.sources import Source, digest, read_source
from trainwright_ors.tools import checked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Rows:
    """Tasks in the order of training.

    Attributes:
        sources: The splits, by number.
        digests: Of each, see `sources.digest`.
        source: The number of each row's source. (n)
        index: The index of each row's task in its split. (n)
    """

    sources: tuple[Source, ...]
    digests: tuple[str, ...]
    source: NDArray[np.uint16]
    index: NDArray[np.int64]

    @property
    def identity(self) -> dict[str, Any]:
        """What is known of the tasks, by split."""
        return {
            f"{each.environment}/{each.split}": {"tasks": each.count} | ({"digest": digest} if digest else {})
            for each, digest in zip(self.sources, self.digests, strict=True)
        }


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
        """What a run depends on, for its manifest: a run whose server has changed is not continued unasked."""
        return {
            "server": self.server.generation,
            "version": self.server.version or None,
            "tools": {name: _hash(tools) for name, tools in self.tools.items()},
            "train": self.train.identity,
            "eval": self.eval.identity if self.eval else None,
        }


def _hash(toolset: Toolset) -> str:
    return hashlib.sha256(json.dumps(asdict(toolset), sort_keys=True).encode()).hexdigest()[:12]


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
        for number, source in enumerate(rows.sources):
            if source.environment not in tools:
                first = source.key(int(rows.index[rows.source == number][0]))
                tools[source.environment] = await _tools(client, first, settings)
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
    found = await asyncio.gather(*(read_source(client, source.environment, source.split) for source in sources))
    tasks = [_chosen(each, source) for each, source in zip(found, sources, strict=True)]
    digests = await asyncio.gather(*(digest(client, each) for each in found))
    weights = [source.weight for source in sources if source.weight is not None] or None
    return Rows(tuple(found), tuple(digests), *arrange(tasks, weights, seed))


def _chosen(found: Source, wanted: TaskSource) -> NDArray[np.int64]:
    """The indices that are wanted of a split.

    Raises:
        OrsError: One of them, or any at all, does not exist.
    """
    if found.count == 0:
        raise OrsError(f"the split {found.split!r} has no tasks", Place(found.environment))
    for index in wanted.indices or ():
        found.key(index)  # raises where there is none
    return chosen(found.count, wanted.num_tasks, wanted.indices)
