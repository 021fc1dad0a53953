"""Several losses on one batch, added up by weight: `loss: [sigmoid_norm, {name: sft, weight: 0.1}]`.

The loss of an accumulation window is the sum over losses of weight × (sum of values / count of its unit), counts taken
over the window and all ranks: losses of different units mix, and one batch, many micro-batches and many ranks still
train the same model. The models run once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainwright.config.models import LossTerm
    from trainwright.loss.context import Loss, LossContext
    from trainwright.plugins.manager import PluginManager


@dataclass(frozen=True)
class Component:
    """One loss of a mix.

    Attributes:
        name: The plugin's name.
        weight: What its value is multiplied by.
        compute_loss: The slot: the provider inside the wrappers of other plugins.
        settings: The provider's checked settings.
    """

    name: str
    weight: float
    compute_loss: Callable[..., Loss]
    settings: Any


class Mix:
    """The `compute_loss` of several losses.

    Each loss is asked with its own settings, in the order of the config. Its unweighted value is logged as
    `loss/<name>`, its metrics under their own names; a name that an earlier loss has logged becomes `<name>/<metric>`.

    Args:
        components: The losses; at least one.
    """

    def __init__(self, components: Sequence[Component]) -> None:
        self.components = tuple(components)

    def __call__(self, *, ctx: LossContext) -> Loss:
        """The weighted sum for one micro-batch."""
        owners: dict[str, str] = {}
        parts = [each.weight * self._ask(each, ctx, owners) for each in self.components]
        total, *others = parts
        for part in others:
            total = total + part
        return total

    def _ask(self, each: Component, ctx: LossContext, owners: dict[str, str]) -> Loss:
        loss = each.compute_loss(ctx=ctx.part(each.settings, partial(_own_name, owners, each.name)))
        ctx.log_loss(f"loss/{each.name}", loss)
        return loss


def _own_name(owners: dict[str, str], loss: str, metric: str) -> str:
    """The name that a loss's metric is logged under; `owners` says which loss has a name already."""
    return metric if owners.setdefault(metric, loss) == loss else f"{loss}/{metric}"


def make_mix(
    manager: PluginManager, terms: Sequence[LossTerm], settings: Sequence[Any], place: Callable[[str], str] = str
) -> Mix:
    """The mix that a config names.

    Args:
        manager: The plugins, loaded.
        terms: The entries of `loss:`.
        settings: The checked settings of each.
        place: The place of a dotted key, for errors.

    Raises:
        PluginError: One of the losses is not to be had.
    """
    return Mix(
        [
            Component(term.name, term.weight, manager.slot("compute_loss", term.name, place(f"loss.{index}")), own)
            for index, (term, own) in enumerate(zip(terms, settings, strict=True))
        ]
    )
