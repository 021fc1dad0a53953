"""The reward function: answers handed over, scores taken, figures logged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainwright_ors.ahead import discard
from trainwright_ors.client import OrsError, run
from trainwright_ors.episode import Episode
from trainwright_ors.metrics import log_rollouts
from trainwright_ors.rollout import Rollout, TaskKey, reduce_rewards
from trainwright_ors.tasks import task_keys

if TYPE_CHECKING:
    from trainwright_ors.spec import OrsSpec

Log = Callable[[str, float], None]


class RewardFunction:
    """Scores rollouts, as TRL calls it; picklable.

    Args:
        spec: What it belongs to.
    """

    __name__ = "ors"

    def __init__(self, spec: OrsSpec) -> None:
        self._spec = spec

    def __call__(
        self,
        /,
        *,
        completions: Sequence[Any],
        environments: Sequence[Any] | None = None,
        log_metric: Log | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """The score of each rollout; None where it was lost.

        Args:
            completions: What the model said: messages, or text. (B)
            environments: The episodes. Without them each answer is scored on a session of its own. (B)
            log_metric: Takes the figures.
            **columns: The rows' columns.

        Raises:
            OrsError: A rollout was lost, and failures are not substituted; or too many were.
        """
        if environments is None:
            return self._without_episodes(completions, columns)
        episodes: list[Episode] = list(environments)
        answers = zip(episodes, completions, strict=True)
        run(_answer([(each._rollout, plain_message(said)) for each, said in answers if each._rollout is not None]))
        scores = [episode._score() for episode in episodes]
        if log_metric is not None:
            log_rollouts(log_metric, episodes, scores)
        return scores

    def _without_episodes(self, completions: Sequence[Any], columns: Mapping[str, Any]) -> list[float | None]:
        if self._spec.calls_tools:
            raise OrsError(
                "this trainer gives reward functions no environments",
                remedy="give it `spec.scoring_factory` as `environment_factory`, and no `spec.reward_func`",
            )
        return run(self._fresh(task_keys(columns), [plain_message(said) for said in completions]))

    async def _fresh(self, keys: Sequence[TaskKey], answers: Sequence[str]) -> list[float | None]:
        return list(await asyncio.gather(*(self._one(key, text) for key, text in zip(keys, answers, strict=True))))

    async def _one(self, key: TaskKey, text: str) -> float | None:
        spec = self._spec
        future = spec.ahead.take(key)
        try:
            opened = await asyncio.wrap_future(future)
            rollout = Rollout(opened, spec.terminal(opened.tools, key.environment))
            await rollout.answer(text)
            lost = rollout.lost
        except OrsError as error:
            lost = error
        finally:
            discard([future])
        spec.failures.note(lost)
        return None if lost else reduce_rewards(rollout.rewards, spec.settings.reward, spec.settings.no_reward)


async def _answer(pairs: Sequence[tuple[Rollout, str]]) -> None:
    """Hand answers over, all at once."""
    await asyncio.gather(*(rollout.answer(text) for rollout, text in pairs))


def plain_message(completion: Any) -> str:
    """The first message of the model that calls no tool; empty where there is none."""
    if isinstance(completion, str):
        return completion
    for message in completion:
        if message.get("role") == "assistant" and not message.get("tool_calls"):
            return _text(message.get("content"))
    return ""


def _text(said: Any) -> str:
    if isinstance(said, list):
        return "".join(part.get("text", "") for part in said if isinstance(part, Mapping))
    return said or ""
