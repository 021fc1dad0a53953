"""What is worked out over an accumulation window before its first gradient: means over all of its micro-batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from trainwright.loss.context import LossContext, Values
from trainwright.loss.handle import ModelHandle
from trainwright.loss.sums import mean_over_ranks
from trainwright.loss.supervision import KEY, Supervision, supervise
from trainwright.trainer import private

Handles = dict[str, ModelHandle]


class Window:
    """The micro-batches of an accumulation window that are still to come, and what is known of them.

    Args:
        batches: Its micro-batches, in order.
    """

    def __init__(self, batches: Sequence[Mapping[str, Any]] = ()) -> None:
        self._batches = deque(batches)
        self._handles: deque[Handles] = deque()
        self._means: dict[tuple[Values, int], Tensor] = {}

    def next(self) -> Handles:
        """Go on to the next micro-batch: the models that were run on it ahead of its turn, by name."""
        if self._batches:
            self._batches.popleft()
        return self._handles.popleft() if self._handles else {}

    def mean(
        self, values: Values, settings: Any, now: LossContext, ahead: Callable[[Any, Handles], LossContext]
    ) -> Tensor:
        """The mean of values over the micro-batches from now on, and over all ranks; worked out once.

        Args:
            values: What is averaged.
            settings: The settings of the loss that asks.
            now: The context of the micro-batch whose turn it is.
            ahead: Makes the context of a later micro-batch, of the batch and its models.
        """
        key = values, id(settings)
        if key not in self._means:
            if len(self._handles) < len(self._batches):
                self._handles = deque({} for _ in self._batches)
            later = (ahead(batch, handles) for batch, handles in zip(self._batches, self._handles, strict=True))
            self._means[key] = mean_over_ranks([values(each) for each in (now, *later)])
        return self._means[key]


class WindowMeans:
    """The part of `HookedTrainer` that lets a loss look ahead over its window."""

    def _next_micro_batch(self: Any) -> Handles:
        """Go on to the next micro-batch: the models that were run on it ahead of its turn."""
        if not self.model.training:
            return {}
        if self.binding.method.batch == "rollouts" and self._first_of_window():
            self._micro_batches = Window(private.rollout_window(self))
        handles: Handles = self._micro_batches.next()
        return handles

    def _window_mean(self: Any, model: Any, handles: Handles, ctx: LossContext, values: Values) -> Tensor:
        with private.frozen(self):
            if not ctx.training:
                return mean_over_ranks([values(ctx)])
            now = self._ahead(model, ctx, ctx.batch, ctx.supervision, handles)
            mean: Tensor = self._micro_batches.mean(values, ctx.settings, now, partial(self._later, model, ctx))
            return mean

    def _later(self: Any, model: Any, ctx: LossContext, batch: Any, handles: Handles) -> LossContext:
        """The context of a later micro-batch, as it comes from the data loader."""
        if self.binding.method.batch != "rollouts":
            batch = self._prepare_inputs(batch)
        inputs = {name: value for name, value in batch.items() if name != KEY}
        supervision = Supervision.unpack(batch[KEY]) if KEY in batch else supervise(inputs, self.binding.method.batch)
        context: LossContext = self._ahead(model, ctx, inputs, supervision, handles)
        return context

    def _ahead(self: Any, model: Any, ctx: LossContext, inputs: Any, supervision: Any, handles: Handles) -> LossContext:
        handle = partial(self._handle, model, inputs, supervision, handles, without_gradient=True)
        return ctx.at(inputs, supervision, handle)
