"""Every private name of TRL and transformers that Trainwright touches.

`tests/core/trainer/test_private.py` holds the contract: when an upgrade moves one of them, that test says which.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from peft.utils import SAFETENSORS_WEIGHTS_NAME, WEIGHTS_NAME

from trainwright.errors import RunError
from trainwright.trainer.inputs import is_peft
from trainwright.trainer.methods import Method

REFERENCE_ADAPTER = "ref"
"""The name under which TRL keeps, and its losses seek, an adapter with which the policy is the reference."""


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
    with use_adapter(model, adapter_name=REFERENCE_ADAPTER if REFERENCE_ADAPTER in model.peft_config else None):
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


@contextmanager
def tools_unseen(kind: type[Any]) -> Iterator[None]:
    """While TRL's trainer is made: any chat template will do, because the environment shows the model no tools.

    Args:
        kind: The trainer's class, ours or TRL's.
    """
    module = sys.modules[next(base.__module__ for base in kind.__mro__ if base.__module__.startswith("trl."))]
    original = module.supports_tool_calling
    module.supports_tool_calling = lambda processing_class: True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.supports_tool_calling = original  # type: ignore[attr-defined]


@contextmanager
def counted_filters(around: Callable[[Callable[[Any], bool]], Callable[[Any], bool]]) -> Iterator[None]:
    """While TRL prepares a stream: what filters its rows is put into another function, because nothing else sees them.

    Args:
        around: Makes the function that filters of the one that TRL gives.
    """
    from datasets import IterableDataset

    original = IterableDataset.filter

    def counted(self: Any, function: Any = None, *args: Any, **keywords: Any) -> Any:
        return original(self, around(function), *args, **keywords)

    IterableDataset.filter = counted
    try:
        yield
    finally:
        IterableDataset.filter = original


@contextmanager
def replaced(method: Method, replacements: Mapping[str, Callable[[Any], Any]]) -> Iterator[None]:
    """While TRL works: functions that the module of a method's trainer calls by name are others.

    Args:
        method: The method.
        replacements: Name of a function → makes its replacement of TRL's own.
    """
    kind = getattr(importlib.import_module(method.module), method.trainer)
    module = importlib.import_module(kind.__module__)
    own = {name: getattr(module, name) for name in replacements}
    for name, make in replacements.items():
        setattr(module, name, make(own[name]))
    try:
        yield
    finally:
        vars(module).update(own)


@contextmanager
def response_template(tokenizer: Any) -> Iterator[None]:
    """While TRL looks for it: the tokenizer has a description of what the model writes, so TRL parses and adds none.

    It is taken away again, for a saved tokenizer would keep it.
    """
    before = getattr(tokenizer, "response_template", None)
    tokenizer.response_template = before or {}
    try:
        yield
    finally:
        tokenizer.response_template = before


@contextmanager
def without_own_pairs(args: Any) -> Iterator[None]:
    """While TRL's KTO trainer is made: it pairs no rows for the reference point, and so refuses no order of them.

    What it asks is the loss type. A plugin's loss has its own, and TRL's is computed by nobody.
    """
    asked = args.loss_type
    args.loss_type = "apo_zero_unpaired"
    try:
        yield
    finally:
        args.loss_type = asked


def add_reference_adapter(trainer: Any, path: str) -> None:
    """Put a frozen adapter beside the one that is trained: with it, the policy is the reference."""
    trained = trainer.model.active_adapters[0]
    trainer.model.load_adapter(path, adapter_name=REFERENCE_ADAPTER, is_trainable=False)
    trainer.model.set_adapter(trained)  # PEFT 0.18 freezes it when another is loaded


def drop_reference_adapter(trainer: Any) -> None:
    """Remove the adapter that `add_reference_adapter` or TRL has put there, if any."""
    if REFERENCE_ADAPTER in getattr(trainer.model, "peft_config", {}):
        trainer.model.delete_adapter(REFERENCE_ADAPTER)


def load_trained_adapter(model: Any, checkpoint: Path) -> None:
    """Load the adapter that is trained where a checkpoint holds another beside it.

    It lies in the checkpoint itself, the others in folders of their own. transformers before 5.23 loads those folders
    and then leaves it out, so that a resumed run would go on from the adapter's first weights.
    """
    lies_there = any((checkpoint / name).is_file() for name in (SAFETENSORS_WEIGHTS_NAME, WEIGHTS_NAME))
    if is_peft(model) and lies_there and len(model.peft_config) > 1:
        trained = model.active_adapters[0]
        model.load_adapter(checkpoint, trained, is_trainable=True)
        model.set_adapter(trained)


def has_images(trainer: Any) -> bool:
    """Whether TRL has made a collator of rows with images, which tokenises and cuts them."""
    return bool(trainer._is_vision_dataset)


def is_sharded(trainer: Any) -> bool:
    """Whether models are spread over ranks (FSDP, DeepSpeed), so that the policy cannot run before training."""
    return bool(trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)


def local_part(parameter: Any) -> torch.Tensor:
    """What this rank holds of a parameter: all of it, or its shard under FSDP2 or ZeRO-3; no copy."""
    if hasattr(parameter, "ds_tensor"):
        parameter = parameter.ds_tensor
    held: torch.Tensor = (parameter.to_local() if hasattr(parameter, "to_local") else parameter).data
    return held


def prepare_frozen(trainer: Any, model: Any) -> Any:
    """Put a model that is not trained where the run computes, spread over ranks where the policy will be.

    Unlike accelerate's `prepare_model` this keeps no reference to it, so that it can be freed.
    """
    from trl.models import prepare_deepspeed, prepare_fsdp

    if trainer.is_deepspeed_enabled:
        return prepare_deepspeed(model, trainer.accelerator)
    if trainer.is_fsdp_enabled:
        return prepare_fsdp(model, trainer.accelerator)
    return model if hasattr(model, "hf_device_map") else model.to(trainer.accelerator.device)


def precomputes(args: Any, *, native: bool) -> bool:
    """Whether Trainwright precomputes reference log-probabilities for these arguments.

    TRL's own loss with `ld_alpha` wants other sums; there TRL's own precomputation runs.
    """
    wanted = getattr(args, "precompute_ref_log_probs", False)
    return bool(wanted) and not (native and getattr(args, "ld_alpha", None) is not None)


@contextmanager
def switched_off(args: Any, *names: str) -> Iterator[None]:
    """While TRL's trainer is made: options whose work Trainwright does, or that TRL takes no notice of and warns of."""
    before = {name: getattr(args, name) for name in names}
    vars(args).update(dict.fromkeys(names, False))
    try:
        yield
    finally:
        vars(args).update(before)


def expect_precomputed(trainer: Any) -> None:
    """Have TRL's own loss read reference log-probabilities from batches."""
    trainer.precompute_ref_logps = True
