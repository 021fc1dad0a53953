"""What a checkpoint must hold beside TRL's own files, so that a resumed run equals an uninterrupted one exactly.

transformers and TRL forget, on resume: the loss summed since the last log event, TRL's metrics of that interval, the
token count, the rollout buffer of GRPO and its kin, and the order of an epoch that a sampler drew from a generator
that is not seeded anew each epoch. Each rank keeps a file of its own, because each has sums of its own.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from transformers import TrainerCallback

from trainwright.run.files import main_process
from trainwright.run.seal import read_seal

PRIVATE = ("_tr_loss", "_total_loss_scalar", "_globalstep_last_logged")
"""Attributes of transformers' Trainer that its loop resets when it starts; every trainer has them."""

PRIVATE_OF_TRL = ("_metrics", "_total_train_tokens", "_step", "_buffered_inputs", "_pending_metrics")
"""Attributes of TRL's trainers that are not in their checkpoints; each trainer has some of them."""

_log = logging.getLogger(__name__)


class Stateful(Protocol):
    """What can be saved into a checkpoint and restored: `trainwright.loss.sums.Sums`, for one."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers, text, lists and dicts."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""


class RunState(TrainerCallback):  # type: ignore[misc]
    """Follows the epochs of one trainer, writes its state into checkpoints and restores it.

    Args:
        trainer: A trainer with the mixin `SealedCheckpoints`.
        resume_from: The sealed checkpoint that the run continues from.
    """

    def __init__(self, trainer: Any, resume_from: Path | None) -> None:
        self._trainer = trainer
        self._saved = load(resume_from, trainer.args.process_index) if resume_from else None
        self._metrics_bytes = read_seal(resume_from).metrics_bytes if resume_from else 0
        self._epoch: dict[str, Any] = {}

    def save(self, checkpoint: Path) -> None:
        """Write this rank's file into a checkpoint."""
        trainer = self._trainer
        state = {
            "private": {name: _portable(getattr(trainer, name)) for name in _names(trainer)},
            "stateful": {name: part.state_dict() for name, part in trainer.stateful.items()},
            "epoch": self._epoch,
            "now": _order_state(trainer.callback_handler.train_dataloader),
        }
        torch.save(state, _path(checkpoint, trainer.args.process_index))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Restore what the loop has just reset: the last moment before the first epoch."""
        if main_process():
            _cut(self._trainer.run.metrics, self._metrics_bytes)
        if self._saved is None:
            return
        args.eval_on_start = False  # it was done when the run started
        for name, value in self._saved["private"].items():
            _put(self._trainer, name, value)
        for name, part in self._trainer.stateful.items():
            part.load_state_dict(self._saved["stateful"][name])

    def on_epoch_begin(self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **kwargs: Any) -> None:
        """Put the generators where they stood when the resumed epoch began, so that it has the same order."""
        saved, self._saved = self._saved, None
        if saved:
            middle = not float(state.epoch).is_integer()
            _set_order_state(train_dataloader, saved["epoch" if middle else "now"])
        self._epoch = _order_state(train_dataloader)


def load(checkpoint: Path, rank: int) -> dict[str, Any]:
    """One rank's state of a sealed checkpoint.

    Raises:
        FileNotFoundError: The checkpoint was written by fewer ranks.
    """
    state: dict[str, Any] = torch.load(_path(checkpoint, rank), map_location="cpu", weights_only=True)
    return state


def _path(checkpoint: Path, rank: int) -> Path:
    return checkpoint / f"trainwright_state_{rank}.pt"


def _names(trainer: Any) -> list[str]:
    return [*PRIVATE, *(name for name in PRIVATE_OF_TRL if hasattr(trainer, name))]


def _portable(value: Any) -> Any:
    """A copy on the CPU made of plain containers, which `torch.load(weights_only=True)` reads."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, Mapping):
        return {key: _portable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_portable(part) for part in value)
    return value


def _put(trainer: Any, name: str, value: Any) -> None:
    """Restore one attribute; dictionaries are filled in place, because TRL's create what is missing when asked."""
    before = getattr(trainer, name, None)
    if isinstance(before, MutableMapping):
        _refill(before, value)
    else:
        setattr(trainer, name, _on_device(value, trainer.args.device))


def _refill(target: MutableMapping[str, Any], source: Mapping[str, Any]) -> None:
    for key in [key for key in target if key not in source]:
        del target[key]
    for key, value in source.items():
        inner = target.get(key)
        if isinstance(inner, MutableMapping):
            _refill(inner, value)
        else:
            target[key] = value


def _on_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _on_device(part, device) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_device(part, device) for part in value)
    return value


def _order_state(loader: Any) -> dict[str, Any]:
    """Everything that the order of the next epoch can come from: the host's generators and the sampler's own."""
    generator = _generator(loader)
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [name, np.asarray(keys).tolist(), *rest],
        "torch": torch.get_rng_state(),
        "sampler": None if generator is None else generator.get_state(),
    }


def _set_order_state(loader: Any, state: Mapping[str, Any]) -> None:
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    generator = _generator(loader)
    if generator is not None and state["sampler"] is not None:
        generator.set_state(state["sampler"])


def _samplers(loader: Any) -> Iterator[Any]:
    """A loader's samplers, from the outermost batch sampler down to what draws the order."""
    layer = loader
    while layer is not None:
        inner = getattr(layer, "batch_sampler", None)
        layer = getattr(layer, "sampler", None) if inner is None else inner
        if layer is not None:
            yield layer


def _generator(loader: Any) -> torch.Generator | None:
    found = (getattr(sampler, "generator", None) for sampler in _samplers(loader))
    return next((generator for generator in found if isinstance(generator, torch.Generator)), None)


def _cut(metrics: Path, size: int) -> None:
    """Shorten `metrics.jsonl` to what it was when the checkpoint was sealed; empty it for a fresh start."""
    if not metrics.exists():
        return
    if metrics.stat().st_size < size:
        _log.warning("%s is shorter than when the checkpoint was written; its lines since are lost", metrics)
        return
    os.truncate(metrics, size)
