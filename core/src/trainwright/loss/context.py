"""The loss context: what `compute_loss(ctx)` is given, and what it gives back.

    policy    = ctx.policy.sequence_logps(average=True)
    reference = ctx.reference.sequence_logps(average=True)
    margin    = (policy - reference).chosen_minus_rejected()
    return ctx.loss(-logsigmoid(ctx.settings.beta * margin), per="pair")

A context lives for one micro-batch. It asks the trainer for models and keeps what one forward pass has yielded, so that
asking twice runs the model once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trainwright.errors import RunError
from trainwright.loss.supervision import Supervision

if TYPE_CHECKING:
    from trainwright.loss.handle import ModelHandle
    from trainwright.trainer.methods import Unit


@dataclass(frozen=True)
class Loss:
    """What a loss plugin returns; made by `LossContext.loss`.

    Attributes:
        total: The loss summed over the units of this micro-batch, `()`; the final loss where `per` is None.
        per: The unit that core divides by, counted over the accumulation window and all ranks.
    """

    total: Tensor  # ()
    per: Unit | None = None


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
        add_metric: Callable[[str, Tensor, Tensor | int | None], None],
        units: tuple[Unit, ...],
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

    @cached_property
    def policy(self) -> ModelHandle:
        """The model that is trained; its results carry gradients."""
        return self._model("policy")

    @cached_property
    def reference(self) -> ModelHandle:
        """The reference model: `reference:`, the adapter switched off, or log-probs precomputed by TRL; no gradient.

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
            per: The unit: `token` (supervised tokens), `sequence`, or `pair`.

        Returns:
            What `compute_loss` is to return.

        Raises:
            RunError: The method's batches do not hold this unit.
        """
        if per not in self._units:
            known = ", ".join(self._units) or "none"
            raise RunError(f"a loss per {per!r} has no meaning for the method {self.method}", remedy=f"units: {known}")
        return Loss(values.sum(), per)

    def native(self) -> Loss:
        """TRL's own loss for this batch, already normalised.

        Raises:
            RunError: The config chooses a plugin's loss, and TRL is not asked for its own.
        """
        if self._native is None:
            raise RunError("TRL's own loss is computed for `loss: trl` only", remedy="use `ctx.policy` instead")
        return Loss(self._native(), None)

    def metric(self, name: str, values: Tensor, *, count: Tensor | int | None = None) -> None:
        """Log a mean, without waiting for the device.

        Args:
            name: The metric's name; `eval_` is put before it during evaluation.
            values: Values of any shape.
            count: What their sum is divided by; default their number.
        """
        self._add_metric(name, values, count)


class Sequences(torch.Tensor):
    """One value a sequence, `(sequences,)`: a tensor that knows how preference pairs lie in it."""

    def chosen_minus_rejected(self) -> Tensor:
        """`(pairs,)`: the first half of the batch is preferred over the second."""
        chosen, rejected = self.as_subclass(Tensor).chunk(2)
        if chosen.numel() != rejected.numel():
            raise RunError("this batch holds no pairs", remedy="use a method with pairs (dpo), or another loss")
        return chosen - rejected
