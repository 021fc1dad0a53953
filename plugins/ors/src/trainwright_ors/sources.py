"""One split of an environment as a source of tasks: how many it has, and by what a session of one is opened."""

from __future__ import annotations

import hashlib
import json
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainwright_ors.client import Client, HttpRefused, OrsError, Place
from trainwright_ors.rollout import TaskKey

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

_ABSENT = (404, 405, 501)  # what a server answers where it has no such endpoint
_DIGITS = 12


@dataclass(frozen=True, eq=False)
class Source:
    """A split of an environment.

    Attributes:
        environment: The environment's name.
        split: The split's.
        count: How many tasks it has.
        listed: Their specifications as JSON, in a column of Arrow's, on a server that knows tasks by those alone; None
            on one that takes an index. (count)
    """

    environment: str
    split: str
    count: int
    listed: pa.ChunkedArray | None = None

    def key(self, index: int) -> TaskKey:
        """The task of an index.

        Raises:
            OrsError: There is none.
        """
        if not 0 <= index < self.count:
            message = f"the split {self.split!r} has {self.count:,} tasks, and no index {index}"
            raise OrsError(message, Place(self.environment))
        return TaskKey(self.environment, self.split, index, None if self.listed is None else self.listed[index].as_py())

    async def task(self, client: Client, index: int) -> dict[str, Any]:
        """The specification of a task."""
        given = self.key(index).task
        found: dict[str, Any]
        found = await client.task(self.environment, self.split, index) if given is None else json.loads(given)
        return found


async def read_source(client: Client, environment: str | None, split: str) -> Source:
    """A split that somebody names.

    Raises:
        OrsError: There is no such environment or split; see `count_tasks` too.
    """
    name = await client.resolve(environment)
    names = [found.name for found in await client.splits(name)]
    if split not in names:
        remedy = f"it has: {', '.join(names)[:400]}" if names else "it has none, and so no tasks"
        raise OrsError(f"there is no split {split!r}", Place(name), remedy=remedy)
    return await count_tasks(client, name, split)


async def count_tasks(client: Client, environment: str, split: str) -> Source:
    """Ask for the number of a split's tasks; a server that does not count them is asked for all of them.

    Raises:
        OrsError: The server tells neither their number nor themselves.
    """
    try:
        return Source(environment, split, await client.num_tasks(environment, split))
    except HttpRefused as refused:
        if refused.status not in _ABSENT:
            raise
    listed = await _list(client, environment, split)
    return Source(environment, split, len(listed), listed)


async def _list(client: Client, environment: str, split: str) -> pa.ChunkedArray:
    """All tasks of a split; a page at a time becomes JSON, so that a large split takes the space of its text."""
    import pyarrow as pa

    async with aclosing(client.stream_tasks(environment, split)) as stream:
        pages = [pa.array([json.dumps(task) for task in page], pa.large_string()) async for page in stream]
    return pa.chunked_array(pages, pa.large_string())


async def digest(client: Client, source: Source) -> str:
    """A hash of the first and the last task, by which a run notices that a server has others than before.

    Returns:
        Hexadecimal digits; empty where the server shows no single task.
    """
    try:
        tasks = [await source.task(client, index) for index in sorted({0, source.count - 1})]
    except HttpRefused:
        return ""
    return hashlib.sha256(json.dumps(tasks, sort_keys=True).encode()).hexdigest()[:_DIGITS]
