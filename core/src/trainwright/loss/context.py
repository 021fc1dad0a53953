"""The loss context: what `compute_loss(ctx)` is given, and what it gives back.

    ratios  = ctx.policy.sequence_logps(average=True) - ctx.reference.sequence_logps(average=True)
    rewards = ctx.settings.beta * ratios
    ctx.log_rewards(rewards)
    return ctx.loss(-logsigmoid(rewards.chosen_minus_rejected()), per="pair")

A context lives for one micro-batch. It asks the trainer for models and keeps what one forward pass has yielded, so that
asking twice runs the model once, whichever of several mixed losses asks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import Tensor

from trainwright.errors import RunError
from trainwright.loss.preference import is_chosen, log_rewards
from trainwright.loss.supervision import Supervision

if TYPE_CHECKING:
    from trainwright.loss.handle import ModelHandle
    from trainwright.trainer.methods import Unit


AddMetric = Callable[..., None]
"""`Sums.add`: (name, values, count, part)."""

Values = Callable[["LossContext"], "Tensor | tuple[Tensor, Tensor | int]"]
"""What `window_mean` averages: values of one micro-batch, and their count where that is not their number."""


@dataclass(frozen=True)
class Term:
    """A part of a loss, counted in one unit.

    Attributes:
        total: Summed over the units of this micro-batch, `()`; the final loss where `per` is None.
        per: The unit that core divides by, counted over the accumulation window and all ranks.
    """

    total: Tensor  # ()
    per: Unit | None = None


@dataclass(frozen=True)
class Loss:
    """What a loss plugin returns; made by `LossContext.loss`.

    Losses add, and numbers multiply them: `ctx.loss(a, per="pair") + 0.1 * ctx.loss(b, per="chosen_token")`. Each term
    keeps its unit, so that the loss of a window is the sum over terms of (sum of values / count of their unit).

    Attributes:
        terms: The parts, one a unit; at least one.
    """

    terms: tuple[Term, ...]

    def __add__(self, other: Loss) -> Loss:
        totals = {term.per: term.total for term in self.terms}
        for term in other.terms:
            totals[term.per] = totals[term.per] + term.total if term.per in totals else term.total
        return Loss(tuple(Term(total, per) for per, total in totals.items()))

    def __mul__(self, weight: float) -> Loss:
        return Loss(tuple(Term(weight * term.total, term.per) for term in self.terms))

    __rmul__ = __mul__


class LossContext:
    """One micro-batch, seen by a loss.

    Attributes:
        batch: TRL's batch, on the device, without the supervision.
        supervision: Which positions carry loss; None under `loss: trl`.
        method: The training method, e.g. `sft`.
        settings: The plugin's checked settings.
        training: False during evaluation.
        step: Optimizer steps done.
        trainer: TRL's trainer: an escape hatch whose attributes change between TRL's versions.
    """

    def __init__(
        self,
        *,
        batch: Mapping[str, Any],
        supervision: Supervision | None,
        method: str,
        settings: Any,
        training: bool,
        step: int,
        trainer: Any,
        handle: Callable[[str], ModelHandle] | None,
        native: Callable[[], Tensor] | None,
        add_metric: AddMetric,
        units: tuple[Unit, ...],
        window_mean: Callable[[LossContext, Values], Tensor] | None = None,
    ) -> None:
        self.batch = batch
        self.supervision = supervision
        self.method = method
        self.settings = settings
        self.training = training
        self.step = step
        self.trainer = trainer
        self._handle = handle
        self._native = native
        self._add_metric = add_metric
        self._units = units
        self._window_mean = window_mean

    @cached_property
    def policy(self) -> ModelHandle:
        """The model that is trained; its results carry gradients."""
        return self._model("policy")

    @cached_property
    def reference(self) -> ModelHandle:
        """The reference: a model of its own, the policy with another adapter or none, or what was precomputed.

        Without gradient. Of a precomputed one, `token_logps()` and `sequence_logps()` are known, and nothing else.

        Raises:
            RunError: The run has none.
        """
        return self._model("reference")

    @cached_property
    def teacher(self) -> ModelHandle:
        """The teacher model of `teacher:`; no gradient.

        Raises:
            RunError: The run has none.
        """
        return self._model("teacher")

    def _model(self, name: str) -> ModelHandle:
        if self._handle is None:
            raise RunError(f"with `loss: trl` the {name} runs inside TRL's loss", remedy="choose a plugin's loss")
        return self._handle(name)

    def loss(
        self,
        values: Tensor,  # any shape, or ()
        per: Unit,
    ) -> Loss:
        """Declare the loss of this micro-batch.

        Args:
            values: One value a unit, or their sum. Not averaged: core divides.
            per: The unit: `token` (supervised tokens), `chosen_token` (those of preferred answers), `sequence`, or
                `pair`.

        Returns:
            What `compute_loss` is to return; sums of losses of several units are losses too.

        Raises:
            RunError: The method's batches do not hold this unit.
        """
        if per not in self._units:
            known = ", ".join(self._units) or "none"
            raise RunError(f"a loss per {per!r} has no meaning for the method {self.method}", remedy=f"units: {known}")
        return Loss((Term(values.as_subclass(Tensor).sum(), per),))

    def native(self) -> Loss:
        """TRL's own loss for this batch, already normalised.

        Raises:
            RunError: The config chooses a plugin's loss, and TRL is not asked for its own.
        """
        if self._native is None:
            raise RunError("TRL's own loss is computed for `loss: trl` only", remedy="use `ctx.policy` instead")
        return Loss((Term(self._native()),))

    def window_mean(self, values: Values) -> Tensor:
        """A mean over the accumulation window and all ranks, `()`, for every micro-batch alike; no gradient.

        It is worked out when the window's first micro-batch asks: the models then run on the others ahead of their
        turn, without gradient. What a model without gradient yields there serves again when its turn comes. In
        evaluation the mean is over one batch of all ranks.

        Args:
            values: A function of the module, by which the mean is kept; called with the context of each micro-batch, it
                returns the values to average, of any shape; or (values, count), as `metric` takes them. All ranks must
                ask, in each micro-batch.

        Raises:
            RunError: The loss is TRL's own.
        """
        if self._window_mean is None:
            raise RunError("with `loss: trl` nothing is known of the window", remedy="choose a plugin's loss")
        return self._window_mean(self, values)

    def metric(self, name: str, values: Tensor, *, count: Tensor | int | None = None) -> None:
        """Log a mean, without waiting for the device.

        Args:
            name: The metric's name; `eval_` is put before it during evaluation.
            values: Values of any shape.
            count: What their sum is divided by; default their number.
        """
        self._add_metric(name, values, count)

    def log_rewards(self, rewards: Tensor) -> None:
        """Log `rewards/chosen`, `rewards/rejected`, `rewards/margins`, and for pairs `rewards/accuracies`.

        Args:
            rewards: The rewards that the loss compares, one a sequence, `(sequences,)`; no gradient is kept.

        Raises:
            RunError: The method's batches hold no preferences.
        """
        if self.supervision is None:
            raise RunError("with `loss: trl` TRL logs its own rewards", remedy="choose a plugin's loss")
        chosen = is_chosen(self.supervision, self.batch)
        if chosen is None:
            raise RunError(f"the method {self.method} has no preferences", remedy="use dpo or kto, or another loss")
        log_rewards(rewards, chosen, self._add_metric, pairs=self.supervision.pairs)

    def log_loss(self, name: str, loss: Loss) -> None:
        """Log the value of a loss: the sum over its terms of a mean over their units."""
        for term in loss.terms:
            count = self.supervision.count(term.per) if self.supervision and term.per else 1
            self._add_metric(name, term.total, count, term.per or "")

    def part(self, settings: Any, name_of: Callable[[str], str]) -> LossContext:
        """This micro-batch as one loss of a mix sees it: the same models, its own settings and names of metrics."""
        context = copy.copy(self)
        context.settings = settings
        context._add_metric = lambda name, *values: self._add_metric(name_of(name), *values)
        return context

    def at(
        self, batch: Mapping[str, Any], supervision: Supervision | None, handle: Callable[[str], ModelHandle]
    ) -> LossContext:
        """The same loss on another micro-batch, with models of its own."""
        context = copy.copy(self)
        for name in ("policy", "reference", "teacher"):
            context.__dict__.pop(name, None)
        context.batch, context.supervision, context._handle = batch, supervision, handle
        return context
