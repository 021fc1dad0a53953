"""Stop a run whose loss or gradient is no longer a number, and say since which step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from trainwright.errors import RunError
from trainwright.run.seal import last_sealed

_NEVER = 2**31 - 1


class StopOnNonFinite(TrainerCallback):  # type: ignore[misc]
    """Ends the run by an error where the loss or the gradient norm became NaN or infinite.

    The first bad step is kept on the device. It is looked at when something is logged, evaluated or saved anyway, and
    at the end of each epoch, so no step waits for the device and no checkpoint is written after that step.
    A gradient norm is left alone where a gradient scaler (fp16) skips such steps by itself.

    Args:
        trainer: A trainer with the mixin `SealedCheckpoints`.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._first: dict[str, Tensor] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note a bad step; look where the run is about to use its results.

        Raises:
            RunError: The loss or the gradient norm is not finite.
        """
        self._note("loss", self._trainer._tr_loss, state.global_step)
        if getattr(self._trainer.accelerator, "scaler", None) is None:
            self._note("gradient norm", self._trainer.last_grad_norm, state.global_step)
        if control.should_log or control.should_save or control.should_evaluate:
            self._look()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look before the epoch's evaluation and checkpoint.

        Raises:
            RunError: The loss or the gradient norm is not finite.
        """
        self._look()

    def _note(self, name: str, value: Tensor | float | None, step: int) -> None:
        if value is None:
            return
        value = value.to_local() if hasattr(value, "to_local") else value  # FSDP2: each rank looks at its part
        seen = torch.as_tensor(value, device=self._trainer.args.device)
        first = self._first.setdefault(name, torch.full((), _NEVER, device=seen.device))
        bad = ~torch.isfinite(seen).all()
        first.copy_(torch.where(bad, first.clamp(max=step), first))

    def _look(self) -> None:
        steps = {name: int(first.item()) for name, first in self._first.items()}
        agreed = {name: -self._trainer.ranks.largest(-step) for name, step in steps.items()}
        name = min(agreed, key=lambda name: agreed[name], default="")
        if name and agreed[name] < _NEVER:
            raise self._error(name, agreed[name])

    def _error(self, name: str, step: int) -> RunError:
        run = self._trainer.run
        last = last_sealed(run.checkpoints)
        kept = f"the last good checkpoint is {last}" if last else "no checkpoint was written before it"
        remedy = (
            "Lower `training.learning_rate` or `training.max_grad_norm`, or use bfloat16 in place of float16, in a run "
            "of its own. Look at the data of that step if the learning rate is not the reason."
        )
        return RunError(f"the {name} became NaN or infinite at step {step}; {kept}", where=str(run.path), remedy=remedy)
