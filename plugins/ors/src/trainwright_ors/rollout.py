"""One rollout's side of the server: its session, its calls in their order, its rewards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainwright_ors.client import (
    Block,
    Client,
    Deadline,
    EnvironmentFailed,
    HttpRefused,
    OrsError,
    OutcomeUnknown,
    Place,
    ProtocolError,
    Session,
    SessionGone,
    TerminalTool,
    ToolFailed,
    ToolResult,
    Toolset,
    Unreachable,
)
from trainwright_ors.settings import Reducer
from trainwright_ors.tools import checked

_FATAL = (Deadline, OutcomeUnknown, SessionGone, Unreachable, HttpRefused, ProtocolError)


@dataclass(frozen=True)
class TaskKey:
    """A task: the `index`-th of a split of an environment.

    Attributes:
        environment: The environment's name.
        split: The split's.
        index: Counts from 0.
        task: The specification, JSON, on a server that knows tasks by it alone; else None.
    """

    environment: str
    split: str
    index: int
    task: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Opened:
    """A session that is set up.

    Attributes:
        session: The session.
        prompt: The task's prompt.
        tools: The tools of the task.
    """

    session: Session
    prompt: Sequence[Block]
    tools: Toolset


async def open_task(client: Client, key: TaskKey, retries: int) -> Opened:
    """Set up a session, with fresh ones tried where that fails on the server's side.

    Raises:
        OrsError: It failed each time. No session is left then.
    """
    for attempt in range(retries + 1):
        try:
            return await _open(client, key)
        except OrsError as error:
            refused = isinstance(error, HttpRefused) and not isinstance(error, EnvironmentFailed)
            if attempt == retries or refused or isinstance(error, ProtocolError):
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _open(client: Client, key: TaskKey) -> Opened:
    if key.task is None:
        session = await client.open(key.environment, split=key.split, index=key.index)
    else:
        session = await client.open(key.environment, task=json.loads(key.task), label=f"{key.split}[{key.index}]")
    try:
        prompt = await session.prompt()
        tools = checked(await session.task_tools(), session.place)
    except BaseException:
        await session.close()
        raise
    return Opened(session, prompt, tools)


@dataclass
class Figures:
    """What a rollout's calls came to.

    Attributes:
        calls: Calls that the model made of an episode that went on.
        failed: Those of them that failed, whoever's fault it was.
        raised: Those that failed in the environment's own code.
        seconds: All calls together that were answered.
        resumed: Streams lost and found again.
    """

    calls: int = 0
    failed: int = 0
    raised: int = 0
    seconds: float = 0.0
    resumed: int = 0


@dataclass
class Rollout:
    """A rollout on a session. Its calls run one after another, beside those of other rollouts.

    Attributes:
        opened: The session.
        terminal: The tool that the answer is handed to, where there is one.
        rewards: Those that calls gave, in their order.
        finished: Whether the episode is over; from then on nothing is sent and the rewards stay.
        lost: What it was lost to, if it was.
        last_failure: The last failure in the environment's own code.
        figures: See `Figures`.
    """

    opened: Opened
    terminal: TerminalTool | None = None
    rewards: list[float] = field(default_factory=list)
    finished: bool = False
    lost: OrsError | None = None
    last_failure: ToolFailed | None = None
    figures: Figures = field(default_factory=Figures)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a tool, on the client's loop; it is sent when the calls before it have ended.

        Raises:
            OrsError: It failed, or the episode is over or lost.
        """
        async with self._turn:
            self._check(name)
            try:
                result = await self.opened.session.call(name, arguments)
            except OrsError as error:
                self._note_failure(error)
                raise
            self._note(result)
            return result

    def _check(self, name: str) -> None:
        place = self.opened.session.place
        if self.lost is not None:
            raise still_lost(self.lost)
        if self.finished:
            raise ToolFailed("the episode is over", place, reason="episode_finished")
        if all(tool.name != name for tool in self.opened.tools.tools) and not self._is_terminal(name):
            self.figures.calls += 1
            self.figures.failed += 1
            raise ToolFailed(f"there is no tool {name[:80]!r} in this task", place, reason="not_found")

    def _is_terminal(self, name: str) -> bool:
        return self.terminal is not None and self.terminal.name == name

    async def answer(self, text: str) -> None:
        """Hand the model's answer over, where there is a tool for it and the episode goes on; failures are noted."""
        if self.terminal is None or self.finished or self.lost is not None:
            return
        try:
            await self.call(self.terminal.name, {} if self.terminal.arg is None else {self.terminal.arg: text})
        except OrsError:
            return

    def _note(self, result: ToolResult) -> None:
        self.figures.calls += 1
        self.figures.seconds += result.seconds
        self.figures.resumed += result.resumed
        if result.reward is not None:
            self.rewards.append(result.reward)
        self.finished = result.finished

    def _note_failure(self, error: OrsError) -> None:
        self.figures.calls += 1
        self.figures.failed += 1
        if isinstance(error, _FATAL):
            self.lost = error
        elif isinstance(error, ToolFailed) and error.reason == "raised":
            self.figures.raised += 1
            self.last_failure = error
        elif isinstance(error, ToolFailed) and error.reason == "episode_finished":
            self.finished = True

    @property
    def place(self) -> Place:
        """The environment and the task."""
        return self.opened.session.place


def still_lost(error: OrsError) -> OrsError:
    """A new error for each further call of a lost rollout: one exception is not raised by two threads at once."""
    return SessionGone(f"the episode was lost: {error.detail}", error.place)


def reduce_rewards(rewards: Sequence[float], reducer: Reducer, otherwise: float | None) -> float | None:
    """A rollout's score.

    Args:
        rewards: Of its calls, in their order; finite.
        reducer: `sum`, `last`, `mean` or `max`.
        otherwise: The score where there is no reward.
    """
    if not rewards:
        return otherwise
    if reducer == "last":
        return rewards[-1]
    if reducer == "max":
        return max(rewards)
    return sum(rewards) / (len(rewards) if reducer == "mean" else 1)
