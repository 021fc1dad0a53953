"""An environment as TRL knows it: `reset`, tools by descriptors, perhaps `get_reward`; everything else is private."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from trainwright_ors.client import OrsError, Place, ToolSpec
from trainwright_ors.client.loop import home
from trainwright_ors.content import Content, content
from trainwright_ors.rollout import Rollout, reduce_rewards
from trainwright_ors.tasks import task_key
from trainwright_ors.tools import Tool, attributes

if TYPE_CHECKING:
    from trainwright_ors.spec import OrsSpec


_LOG = logging.getLogger("trainwright.ors")


class ToolError(Exception):
    """A tool call that failed, in words for the model: no address, no session, the same in every run."""


@cache
def _say_how_to_overlap() -> None:
    _LOG.warning(
        "the trainer calls tools one by one; `class Trainer(Episodes, GRPOTrainer)`, with `Episodes` from "
        "trainwright.trainer.episodes, runs the calls of a batch side by side"
    )


class Episode:
    """Base of the classes that a factory makes. An instance is reset for one rollout after another.

    Attributes that TRL would take for tools are only those that `tools.attributes` adds.
    """

    _spec: OrsSpec
    _environment: str
    _made: int = 0  # episodes of this class
    _rollout: Rollout | None = None
    _lost: OrsError | None = None
    _scored: bool = False

    def reset(self, /, **row: Any) -> Content:
        """Begin the row's task on a session of its own.

        Args:
            **row: A row of `OrsSpec.dataset`.

        Returns:
            The prompt.

        Raises:
            OrsError: No session could be set up, and failures are not substituted; or too many could not.
        """
        self._leave()
        key = task_key(row, self._environment)
        self._rollout, self._lost, self._scored = None, None, False
        try:
            opened = self._spec.ahead.take(key).result()
            self._rollout = Rollout(opened, self._spec.terminal(opened.tools, key.environment))
            return content(opened.prompt, opened.session.place, images=self._spec.images)
        except CancelledError:
            raise OrsError("the run's sessions were closed", Place(key.environment)) from None
        except OrsError as error:
            self._lost = error
            self._spec.failures.note(error)
            return ""

    def _leave(self) -> None:
        """End the session of the rollout before, without waiting."""
        if self._rollout is not None:
            home().submit(self._rollout.opened.session.close())

    def _episode_tools(self) -> list[Tool]:
        """The tools of this task."""
        if self._rollout is None:
            return []
        return [Tool(spec, self._begin_call, self._waits) for spec in self._spec.shown(self._rollout.opened.tools)]

    def _waits(self) -> None:
        """A trainer that has several episodes and waits for a call of one is told how not to; threads may wait."""
        if self._made > 1 and threading.current_thread() is threading.main_thread():
            _say_how_to_overlap()

    def _begin_call(self, name: str, arguments: Mapping[str, Any]) -> Future[Content]:
        future: Future[Content] = home().submit(self._call(self._rollout, name, arguments))
        return future

    async def _call(self, rollout: Rollout | None, name: str, arguments: Mapping[str, Any]) -> Content:
        if rollout is None:
            raise ToolError("there is no episode")
        try:
            result = await rollout.call(name, arguments)
            return content(result.blocks, replace(rollout.place, tool=name[:80]), images=self._images_of_tools)
        except OrsError as error:
            if type(error) is OrsError:  # not the server's: what the model cannot be shown
                rollout.lost = rollout.lost or error
            raise ToolError(error.detail) from error

    @property
    def _images_of_tools(self) -> bool | None:
        """What becomes of images in tools' results, see `content`."""
        return self._spec.images

    def _score(self) -> float | None:
        """The rollout's score, once; its session ends.

        Raises:
            OrsError: It was lost, and failures are not substituted; or too many were.
        """
        if self._scored:
            return None
        self._scored = True
        rollout, failures = self._rollout, self._spec.failures
        if rollout is None:
            return None
        self._leave()
        if rollout.lost is not None:
            self._lost = rollout.lost
            failures.note(rollout.lost)
            return None
        figures = rollout.figures
        nothing_worked = figures.calls > 0 and figures.raised == figures.calls
        failures.note(rollout.last_failure if nothing_worked else None, lost=False)
        return reduce_rewards(rollout.rewards, self._spec.settings.reward, self._spec.settings.no_reward)


class ScoringEpisode(Episode):
    """An episode that owns its reward, for trainers that give reward functions no environments (AsyncGRPO)."""

    @property
    def _images_of_tools(self) -> bool | None:
        """That trainer makes text of whatever a tool returns, so an image is left out or refused."""
        return None if self._spec.images else self._spec.images

    def get_reward(self) -> float | None:
        """The rollout's score; None where it was lost."""
        return self._score()


class EpisodeFactory:
    """Makes the episodes of one environment; picklable.

    Args:
        spec: What it belongs to.
        environment: The environment.
        tools: What TRL is to list as its tools.
        scoring: Whether episodes own their reward.
    """

    def __init__(self, spec: OrsSpec, environment: str, tools: Sequence[ToolSpec], *, scoring: bool) -> None:
        self._spec, self._environment, self._tools, self._scoring = spec, environment, tuple(tools), scoring

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_kind"}

    @cached_property
    def _kind(self) -> type[Episode]:
        base = ScoringEpisode if self._scoring else Episode
        own = {"_spec": self._spec, "_environment": self._environment, **attributes(self._tools)}
        return type(f"ors_{''.join(letter if letter.isalnum() else '_' for letter in self._environment)}", (base,), own)

    def __call__(self) -> Episode:
        """An episode that is not begun."""
        self._kind._made += 1
        return self._kind()

    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Open the sessions that the resets of these rows will take, all at once."""
        self._spec.ahead.want([task_key(row, self._environment) for row in rows], now=True)
