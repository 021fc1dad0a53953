"""One server: what it offers, its tasks, and sessions on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pydantic import SecretStr

from trainwright_ors.client import answers
from trainwright_ors.client.ask import ask, expect, persist
from trainwright_ors.client.closing import arm
from trainwright_ors.client.deadlines import Deadlines, Limits
from trainwright_ors.client.detect import detect
from trainwright_ors.client.errors import OrsError, Place, ProtocolError, Unreachable
from trainwright_ors.client.loop import home, on_loop
from trainwright_ors.client.origin import Origin
from trainwright_ors.client.secrets import Hidden, channel
from trainwright_ors.client.session import Session
from trainwright_ors.client.sids import routed
from trainwright_ors.client.task_list import TaskList, TaskListError
from trainwright_ors.client.trouble import Trouble
from trainwright_ors.client.types import ServerInfo, Split, Toolset
from trainwright_ors.client.wire import Wire

if TYPE_CHECKING:
    import httpx

_LOG = logging.getLogger("trainwright.ors")


class Client:
    """An ORS server, self-hosted or behind a hosted platform. It can be pickled, and used from any thread or loop.

    Args:
        url: The base URL; nothing is sent anywhere else.
        api_key: Sent as `X-API-Key`. Never taken from the environment.
        secrets: For the environment, by name; handed over by the channel that the server reads.
        deadlines: How long anything may take.
        limits: How large an answer may be.
        deployment: `owner/name` on a hosted platform; None for a server of your own.
        domains: The hosts that a secret may be sent to from a hosted sandbox, by the secret's name.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: SecretStr | None = None,
        secrets: Mapping[str, SecretStr] | None = None,
        deadlines: Deadlines | None = None,
        limits: Limits | None = None,
        deployment: str | None = None,
        domains: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._secrets, self._domains = dict(secrets or {}), dict(domains or {})
        sent = channel("openreward", self._secrets, self._domains)[0].values()
        hidden = Hidden([*self._secrets.values(), *map(SecretStr, sent), *([api_key] if api_key else [])])
        origin = Origin.of(url)
        self._wire = Wire(origin, api_key, deployment, hidden, deadlines or Deadlines(), limits or Limits())
        self._info: ServerInfo | None = None
        if not (origin.secure or origin.local) and (api_key or secrets):
            _LOG.warning("%s is not https: the key and the secrets travel where others can read them", origin.base)
        arm()

    def __repr__(self) -> str:
        return f"Client({self._wire.origin.base!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        wire = self._wire
        settings: dict[str, Any] = {
            "api_key": wire.api_key, "secrets": self._secrets, "deadlines": wire.deadlines, "limits": wire.limits,
            "deployment": wire.deployment, "domains": self._domains,
        }  # fmt: skip
        return partial(Client, wire.origin.base, **settings), ()

    @on_loop
    async def describe(self) -> ServerInfo:
        """The server's generation and environments; asked once."""
        info = self._info
        if info is None:
            asking: WeakKeyDictionary[Client, asyncio.Task[ServerInfo]]
            asking = home().belongings.setdefault("asking", WeakKeyDictionary())
            if self not in asking:
                asking[self] = asyncio.create_task(self._detect())
                asking[self].add_done_callback(lambda _: asking.pop(self, None))
            info = self._info = await asyncio.shield(asking[self])
        return info

    @on_loop
    async def resolve(self, environment: str | None) -> str:
        """The name by which the server lists an environment, in whatever case it is given; None for its only one.

        Raises:
            OrsError: It lists no such one; or, with None, several.
        """
        listed = (await self.describe()).environments
        choices = ", ".join(name[:80] if name.isprintable() else repr(name[:80]) for name in listed[:20])
        if environment is None:
            if len(listed) > 1:
                raise OrsError("the server has several environments", remedy=f"say which `environment`: {choices}")
            return listed[0]
        for name in listed:
            if name.lower() == environment.lower():
                return name
        raise OrsError(f"the server has no environment {environment!r}", remedy=f"it has: {choices}")

    @on_loop
    async def tools(self, environment: str | None) -> Toolset:
        """The tools that all tasks of an environment share."""
        place = await self._place(environment)
        return answers.toolset(await self._ask("GET", place, "tools", "its tools"), place)

    @on_loop
    async def splits(self, environment: str | None) -> tuple[Split, ...]:
        """The splits of an environment's tasks."""
        place = await self._place(environment)
        return answers.splits(await self._ask("GET", place, "splits", "its splits"), place)

    @on_loop
    async def num_tasks(self, environment: str | None, split: str) -> int:
        """How many tasks a split has."""
        place = await self._place(environment, f"{split}[*]")
        answer = await self._ask("POST", place, "num_tasks", "its number of tasks", {"split": split})
        number = answer.get("num_tasks") if isinstance(answer, dict) else None
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise ProtocolError("the number of tasks is no number", place)
        return number

    @on_loop
    async def task(self, environment: str | None, split: str, index: int) -> dict[str, Any]:
        """One task's specification."""
        place = await self._place(environment, f"{split}[{_counted(index)}]")
        answer = await self._ask("POST", place, "task", "the task", {"split": split, "index": index})
        found = answer.get("task") if isinstance(answer, dict) else None
        if not isinstance(found, dict):
            raise ProtocolError("the task is not an object", place)
        return found

    @on_loop
    async def task_range(self, environment: str | None, split: str, start: int, stop: int) -> list[dict[str, Any]]:
        """The specifications of tasks `start` to `stop`, the latter excluded; fewer where the split ends before.

        Quick on servers of openreward's kind; those of ors-sdk's build the whole list once for each task.
        """
        place = await self._place(environment, f"{split}[{_counted(start)}:{_counted(stop)}]")
        body = {"split": split, "start": start, "stop": stop}
        answer = await self._ask("POST", place, "task_range", "the tasks", body)
        found = answer.get("tasks") if isinstance(answer, dict) else None
        if not isinstance(found, list) or not all(isinstance(task, dict) for task in found):
            raise ProtocolError("the tasks are not a list of objects", place)
        if len(found) > max(stop - start, 0):
            raise ProtocolError(f"{len(found):,} tasks came where {max(stop - start, 0):,} were asked for", place)
        return found

    @on_loop
    async def tasks(self, environment: str | None, split: str) -> list[dict[str, Any]]:
        """The specifications of all tasks of a split, in memory; see `stream_tasks` for large ones."""
        found: list[dict[str, Any]] = []
        async with aclosing(self.stream_tasks(environment, split)) as pages:
            async for page in pages:
                found += page
        return found

    async def stream_tasks(self, environment: str | None, split: str) -> AsyncGenerator[list[dict[str, Any]], None]:
        """The specifications of all tasks of a split by one request, some at a time as they arrive.

        To be read on the client's loop: in a coroutine given to `run`, or from plain code by `iterate`. Where the
        answer breaks off, so does this; it cannot begin again where it was.

        Raises:
            HttpRefused: The environment has no such split, or does not list its tasks (400).
            OrsError: See `trainwright_ors.client.errors`.
        """
        place, wire = await self._place(environment, f"{split}[*]"), self._wire
        async with AsyncExitStack() as stack:
            sid = await stack.enter_async_context(routed(wire, place))
            path, body = (place.environment, "tasks"), {"split": split}

            async def begin() -> httpx.Response:
                return await stack.enter_async_context(wire.send("POST", path, place, sid=sid, body=body))

            response = await persist(begin, wire, place, wire.deadlines.setup, "the list of tasks")
            expect(response.headers.get("content-type", ""), "application/json", "the list of tasks", place)
            reader = TaskList(wire.limits.element)
            try:
                async for piece in wire.pieces(response, None, lambda: wire.deadlines.idle, place):
                    if page := reader.feed(piece):
                        yield page
                yield reader.end()
            except Trouble as trouble:
                raise Unreachable(f"the list of tasks broke off: {trouble.why}", place) from None
            except TaskListError as error:
                raise ProtocolError(f"the list of tasks cannot be read: {error}", place) from None

    @on_loop
    async def open(
        self,
        environment: str | None,
        *,
        task: Mapping[str, Any] | None = None,
        split: str | None = None,
        index: int | None = None,
        label: str = "",
    ) -> Session:
        """Create a session for a task; its setup goes on while this returns.

        Args:
            environment: See `resolve`.
            task: The task's specification; else `split` and `index`.
            split: The split's name.
            index: The task's number in it, from 0.
            label: What messages call the task; by default `split[index]`.

        Raises:
            OrsError: See `trainwright_ors.client.errors`. No session is left then.
        """
        if (task is None) == (split is None or index is None) or (task is not None and index is not None):
            raise ValueError("a session is opened for a `task`, or for a `split` and an `index`")
        source = {"task_spec": dict(task)} if task is not None else {"split": split, "index": _counted(index or 0)}
        label = label or (f"{split}[{index}]" if task is None else "given by its specification")
        place = await self._place(environment, label)
        info = await self.describe()
        headers, secrets = channel(info.generation, self._secrets, self._domains)
        body = {"env_name": place.environment, **source, **secrets}
        session = Session(self._wire, info.generation, place, body, headers)
        await session.start()
        return session

    async def _detect(self) -> ServerInfo:
        async with routed(self._wire, Place()) as sid:
            return await detect(self._wire, sid)

    async def _place(self, environment: str | None, task: str = "") -> Place:
        return Place(await self.resolve(environment), task)

    async def _ask(self, method: str, place: Place, path: str, what: str, body: Mapping[str, Any] | None = None) -> Any:
        async with routed(self._wire, place) as sid:
            return await ask(self._wire, method, (place.environment, path), place, what=what, sid=sid, body=body)


def _counted(index: int) -> int:
    """An index that counts from the start: servers take -1 for the last task."""
    if index < 0:
        raise ValueError(f"{index} is no index of a task: they count from 0")
    return index
