"""The reference, ready to run before training: loaded only if it is needed, and gone afterwards."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from trainwright.loss.head import install_head
from trainwright.reference.plan import How
from trainwright.trainer import private
from trainwright.trainer.inputs import base_model, is_peft


class Runner:
    """The reference of a trainer that has not trained yet.

    Args:
        trainer: The trainer. Its `ref_model` is the reference where it has one.
        how: How the policy serves otherwise.
        load: Loads a model that serves in the policy's place.
        load_sharded: Loads one where the policy is to be sharded and cannot run before that.
    """

    def __init__(
        self, trainer: Any, how: How, load: Callable[[], Any] | None, load_sharded: Callable[[], Any] | None
    ) -> None:
        self._trainer = trainer
        self._how = how
        self._load = load or (load_sharded if private.is_sharded(trainer) else None)
        self._model: Any = getattr(trainer, "ref_model", None)

    @property
    def unnamed(self) -> Any:
        """The model that no config names: the trainer's `ref_model`, or the policy."""
        return self._unwrapped(self._trainer.model if self._model is None else self._model)

    @contextmanager
    def running(self) -> Iterator[tuple[Any, torch.device]]:
        """Within it, the reference can be called: in evaluation mode, without gradient, under the run's autocast.

        Yields:
            The model and its device.
        """
        policy, accelerator = self._trainer.model, self._trainer.accelerator
        if self._model is None and self._load is not None:
            self._model = private.prepare_frozen(self._trainer, self._load())
        model = policy if self._model is None else self._model
        off = self._model is None and self._how in ("adapter off", "second adapter") and is_peft(policy)
        install_head(base_model(self._unwrapped(model)))
        with ExitStack() as stack:
            stack.callback(model.train, model.training)
            model.eval()
            stack.enter_context(private.frozen(self._trainer, without_adapter=off))
            stack.enter_context(accelerator.autocast())
            yield model, accelerator.device

    def close(self) -> None:
        """Free the model, and an adapter that was there for it only."""
        held = self._model is not None
        self._model = self._trainer.ref_model = None
        private.drop_reference_adapter(self._trainer)
        if held:  # half a second, with all that is imported
            gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _unwrapped(self, model: Any) -> Any:
        return self._trainer.accelerator.unwrap_model(model)
