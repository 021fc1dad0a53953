"""`env show`: what a server offers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from trainwright.cli.screen import paint, put_json
from trainwright_ors.client import Client, OrsError, ServerInfo, Split, Toolset, run
from trainwright_ors.sources import count_tasks
from trainwright_ors.verbs.text import line, tool_lines


@dataclass(frozen=True)
class SplitShown:
    """A split and its first tasks.

    Attributes:
        split: The split.
        count: How many tasks it has; None where the server does not say.
        tasks: The first ones.
        problem: Why the count or the tasks are missing; empty where they are not.
    """

    split: Split
    count: int | None
    tasks: tuple[dict[str, Any], ...]
    problem: str


@dataclass(frozen=True)
class EnvironmentShown:
    """An environment: name, tools that all tasks share, splits."""

    name: str
    tools: Toolset
    splits: tuple[SplitShown, ...]


def show(client: Client, environment: str | None, *, tasks: int, as_json: bool) -> None:
    """Print what a server offers; all environments, or one.

    Raises:
        OrsError: It cannot be reached, or has no such environment.
    """
    server, found = run(_ask(client, environment, tasks))
    if as_json:
        put_json({"server": asdict(server), "environments": [_record(each) for each in found]})
        return
    print(f"{server.generation} {line(server.version)}".strip() + f", environments: {len(server.environments)}")
    for each in found:
        print("\n".join(("", *_lines(each))))


async def _ask(client: Client, environment: str | None, tasks: int) -> tuple[ServerInfo, list[EnvironmentShown]]:
    server = await client.describe()
    names = server.environments if environment is None else (await client.resolve(environment),)
    return server, [await _environment(client, name, tasks) for name in names]


async def _environment(client: Client, name: str, tasks: int) -> EnvironmentShown:
    tools, splits = await asyncio.gather(client.tools(name), client.splits(name))
    shown = [await _split(client, name, split, tasks) for split in splits]
    return EnvironmentShown(name, tools, tuple(shown))


async def _split(client: Client, environment: str, split: Split, tasks: int) -> SplitShown:
    """A split; what its environment refuses to say is told, and does not end the list."""
    count = None
    try:
        source = await count_tasks(client, environment, split.name)
        count = source.count
        first = [await source.task(client, index) for index in range(min(tasks, count))]
    except OrsError as error:
        return SplitShown(split, count, (), error.detail)
    return SplitShown(split, count, tuple(first), "")


def _lines(shown: EnvironmentShown) -> Iterator[str]:
    yield paint(line(shown.name), "bold", sys.stdout)
    yield from tool_lines(shown.tools.tools, "  tool   ")
    if (terminal := shown.tools.terminal) is not None:
        yield f"  answer {line(terminal.name)}({line(terminal.arg or '')})  {line(terminal.description)}".rstrip()
    for each in shown.splits:
        count = "tasks: unknown" if each.count is None else f"tasks: {each.count:,}"
        kind = "" if each.split.type == each.split.name else f" ({line(each.split.type)})"
        yield f"  split  {line(each.split.name)}{kind}, {count}"
        yield from (
            f"    {index}  {line(json.dumps(task, ensure_ascii=False))}" for index, task in enumerate(each.tasks)
        )
        if each.problem:
            yield f"    {paint('problem:', 'yellow', sys.stdout)} {line(each.problem)}"


def _record(shown: EnvironmentShown) -> dict[str, Any]:
    splits = [
        asdict(each.split) | {"num_tasks": each.count, "tasks": each.tasks, "problem": each.problem or None}
        for each in shown.splits
    ]
    return {"name": shown.name, **asdict(shown.tools), "splits": splits}
