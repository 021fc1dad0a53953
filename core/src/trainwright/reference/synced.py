"""A reference model that follows the policy (`sync_ref_model`, TR-DPO, arXiv 2404.09656): TRL moves it, a checkpoint
keeps it, so that a resumed run goes on with the reference it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from trainwright.errors import RunError
from trainwright.run.files import main_process
from trainwright.trainer import private


class SyncedReference:
    """The weights of a trainer's `ref_model`, to be saved and restored.

    Args:
        trainer: A trainer whose arguments say `sync_ref_model`.

    Raises:
        RunError: Policy and reference are not of one shape.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        if not private.is_sharded(trainer):  # where a shard has not the shape of the whole
            _check_shapes(_unwrapped(trainer, trainer.model), _unwrapped(trainer, trainer.ref_model))

    def state_dict(self) -> dict[str, Tensor]:
        """Name → weight, on the host: of a sharded model this rank's part, else all of them on the first rank only."""
        if not private.is_sharded(self._trainer) and not main_process():
            return {}
        return {name: weight.detach().cpu().clone() for name, weight in self._weights()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave; ranks that gave nothing get the first rank's."""
        sharded = private.is_sharded(self._trainer)
        several = torch.distributed.is_available() and torch.distributed.is_initialized()
        for name, weight in self._weights():
            if name in state:
                weight.copy_(state[name])
            if several and not sharded:
                torch.distributed.broadcast(weight, src=0)

    def _weights(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in _unwrapped(self._trainer, self._trainer.ref_model).named_parameters():
            yield name, private.local_part(parameter)


def _unwrapped(trainer: Any, model: Any) -> Any:
    return trainer.accelerator.unwrap_model(model)


def _check_shapes(policy: Any, reference: Any) -> None:
    """TRL pairs the parameters of the two one by one, at the first synchronisation."""
    ours = {name: tuple(weight.shape) for name, weight in policy.named_parameters()}
    theirs = {name: tuple(weight.shape) for name, weight in reference.named_parameters()}
    differing = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    if differing:
        name = differing[0]
        raise RunError(
            f"`sync_ref_model` needs a reference of the policy's shape, and {name} is "
            f"{theirs.get(name, 'missing')} in the reference and {ours.get(name, 'missing')} in the policy",
            where="training.sync_ref_model",
            remedy="Remove `reference:`, name a model of the same architecture and size, or remove `sync_ref_model`.",
        )
