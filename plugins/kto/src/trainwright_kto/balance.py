"""Whether desirable and undesirable rows have the weights that the authors advise (arXiv 2402.01306, eq. 8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trainwright.errors import Problem

if TYPE_CHECKING:
    from trainwright.config import RunConfig
    from trainwright_kto import Settings

LOWEST, HIGHEST = 1.0, 4 / 3
_ROUNDING = 0.01  # weights are written with two or three digits


def problem(config: RunConfig, key: str, settings: Settings) -> Iterator[Problem]:
    """A warning about the training data's labels; nothing while they are unknown.

    Args:
        config: The checked config.
        key: The dotted key of the loss.
        settings: Its settings.
    """
    labels, where = config.labels("data.train"), config.where(key)
    if labels is None:
        if config.data is not None and config.data.train.streaming:
            message = "nobody can count the desirable and undesirable rows of streamed data before they are trained on"
            remedy = "Choose `desirable_weight` and `undesirable_weight` so that the more frequent rows weigh less."
            yield Problem(message, where, remedy, fatal=False)
    elif 0 in labels[:2] and any(labels[:2]):
        kind = "desirable" if labels.desirable else "undesirable"
        message = f"all {max(labels[:2])} rows are {kind}: the loss has nothing to tell apart"
        yield Problem(message, where, "Add rows of the other kind, or look at the column `label`.", fatal=False)
    elif any(labels[:2]):  # no rows are an error of the data's own
        yield from _imbalance(labels.desirable, labels.undesirable, settings, where)


def _imbalance(desirable: int, undesirable: int, settings: Settings, where: str) -> Iterator[Problem]:
    """λ_D n_D / (λ_U n_U) outside [1, 4/3]."""
    up, down = settings.desirable_weight * desirable, settings.undesirable_weight * undesirable
    if LOWEST * (1 - _ROUNDING) <= up / down <= HIGHEST * (1 + _ROUNDING):
        return
    message = (
        f"{desirable} desirable rows of weight {settings.desirable_weight:g} weigh {up / down:.3g} times as much "
        f"as {undesirable} undesirable ones of weight {settings.undesirable_weight:g}; 1 to 1.33 times is advised"
    )
    desirable_weight = _between(LOWEST * down / desirable, HIGHEST * down / desirable)
    undesirable_weight = _between(up / undesirable / HIGHEST, up / undesirable / LOWEST)
    remedy = f"Set `desirable_weight` {desirable_weight}, or `undesirable_weight` {undesirable_weight}."
    yield Problem(message, where, remedy, fatal=False)


def _between(low: float, high: float) -> str:
    return f"between {low:.3g} and {high:.3g}"
