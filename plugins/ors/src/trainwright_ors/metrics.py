"""What is logged of the rollouts of a batch. TRL averages each name over rollouts, steps and ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainwright_ors.episode import Episode


def log_rollouts(
    log: Callable[[str, float], None], episodes: Sequence[Episode], scores: Sequence[float | None]
) -> None:
    """Log a batch.

    `env/calls`, `env/failed_calls`, `env/call_seconds` and `env/resumed` are a rollout's: its calls, those of them that
    failed, mean seconds of one that was answered (where there is any), streams lost and found again. `env/finished` and
    `env/lost` are shares of rollouts, `env/reward/NAME` the mean score in an environment.

    Args:
        log: `(name, value)`, once a rollout.
        episodes: The batch. (B)
        scores: Their scores. (B)
    """
    for episode, score in zip(episodes, scores, strict=True):
        log("env/lost", float(episode._lost is not None))
        if score is not None:
            log(f"env/reward/{episode._environment}", score)
        if episode._rollout is None:
            continue
        figures = episode._rollout.figures
        log("env/calls", figures.calls)
        log("env/failed_calls", figures.failed)
        log("env/resumed", figures.resumed)
        log("env/finished", float(episode._rollout.finished))
        if answered := figures.calls - figures.failed:
            log("env/call_seconds", figures.seconds / answered)
