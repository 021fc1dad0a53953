"""Every private name of TRL and transformers that Trainwright touches.

`tests/core/trainer/test_private.py` holds the contract: when an upgrade moves one of them, that test says which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from trainwright.errors import RunError


def data_parallel_size(trainer: Any) -> int:
    """Ranks that see different data: all but those of one tensor-parallel group."""
    tensor_parallel = trainer.get_tp_size() if hasattr(trainer, "get_tp_size") else 1
    return int(trainer.accelerator.num_processes // max(tensor_parallel, 1))


def aux_loss_weight(trainer: Any) -> float:
    """The weight of a mixture of experts' load-balancing loss; 0 where TRL does not ask for it."""
    return float(trainer.router_aux_loss_coef) if getattr(trainer, "aux_loss_enabled", False) else 0.0


def check_windows(trainer: Any) -> None:
    """Units of a rollout method are counted over an accumulation window, which one generation must hold whole.

    Raises:
        RunError: It does not.
    """
    steps = getattr(trainer.args, "steps_per_generation", None) or trainer.args.gradient_accumulation_steps
    if steps % trainer.args.gradient_accumulation_steps:
        raise RunError(
            f"`steps_per_generation` ({steps}) is no multiple of `gradient_accumulation_steps` "
            f"({trainer.args.gradient_accumulation_steps}), so a plugin's loss cannot be normalised over its window",
            where="training.steps_per_generation",
            remedy="make it a multiple, or use `loss: trl`",
        )


def rollout_window(trainer: Any) -> list[Mapping[str, Any]]:
    """The micro-batches of the accumulation window that the current rollout micro-batch belongs to."""
    steps = trainer.args.gradient_accumulation_steps
    buffered: list[Mapping[str, Any]] = trainer._buffered_inputs
    start = (trainer._step % len(buffered)) // steps * steps
    return buffered[start : start + steps]


@contextmanager
def adapter_off(trainer: Any) -> Iterator[None]:
    """The policy as it was before training: its adapter off, or the copy that TRL keeps under the name `ref`."""
    from trl.trainer.utils import use_adapter

    model = trainer.accelerator.unwrap_model(trainer.model)
    with use_adapter(model, adapter_name="ref" if "ref" in model.peft_config else None):
        yield


@contextmanager
def frozen(trainer: Any, *, without_adapter: bool = False) -> Iterator[None]:
    """No gradients and no gradient checkpointing; on request with the policy's adapter off."""
    from trl.models.utils import disable_gradient_checkpointing

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(disable_gradient_checkpointing(trainer.model, trainer.args.gradient_checkpointing_kwargs))
        if without_adapter:
            stack.enter_context(adapter_off(trainer))
        yield


@contextmanager
def head_adapters_allowed(model: Any) -> Iterator[None]:
    """While TRL's trainer is made: show it the LM head without its adapter.

    TRL refuses adapters on the head because its fused head reads `lm_head.weight`. Ours reads the adapter too
    (`trainwright.loss.adapters`), so with a plugin loss the refusal does not apply.
    """
    original = model.get_output_embeddings

    def without_adapter() -> Any:
        head = original()
        return getattr(head, "base_layer", head)

    model.get_output_embeddings = without_adapter
    try:
        yield
    finally:
        del model.get_output_embeddings
