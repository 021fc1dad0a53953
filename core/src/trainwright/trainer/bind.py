"""Make the trainer of a run: TRL's config class filled in, and TRL's trainer class with the hooks mixed in."""

from __future__ import annotations

import functools
import importlib
import inspect
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from trainwright.config.fields import OWN_FIELDS
from trainwright.errors import RunError, TrainwrightError
from trainwright.reference.precompute import Precomputation, precompute
from trainwright.reference.synced import SyncedReference
from trainwright.run.checkpoint import SealedCheckpoints
from trainwright.run.folder import RunFolder
from trainwright.trainer.episodes import Episodes
from trainwright.trainer.hooked import Binding, HookedTrainer
from trainwright.trainer.methods import Method
from trainwright.trainer.private import head_adapters_allowed, precomputes, switched_off, tools_unseen
from trainwright.trainer.tool_loop import ToolLoop
from trainwright.trainer.unpaired import UnpairedRows

OURS = {
    "report_to": "none",
    # The run shows its own progress, stops at NaN instead of hiding it, and seals its own checkpoints.
    "disable_tqdm": True,
    "logging_nan_inf_filter": False,
}
"""Defaults that differ from TRL's; `training:` may set them back."""


def training_arguments(method: Method, values: dict[str, Any], folder: Path) -> Any:
    """An instance of TRL's config class for the method.

    Args:
        method: The training method.
        values: The checked `training:` section.
        folder: Where checkpoints go.

    Raises:
        RunError: TRL refuses the values.
    """
    import torch

    kind = getattr(importlib.import_module(method.module), method.config)
    merged = {**OURS, **values, "output_dir": str(folder)}
    own = {field.name: merged.pop(field.name, field.default) for field in OWN_FIELDS.get(method.name, ())}
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        # TRL's default is bf16 autocast, which transformers refuses without an accelerator.
        merged.setdefault("use_cpu", True)
        if not merged.get("fp16"):
            merged.setdefault("bf16", False)
    try:
        made = kind(**merged)
    except (ValueError, TypeError, ImportError) as error:
        raise RunError(f"TRL refuses the training settings: {error}", where="training") from error
    vars(made).update(own)
    return made


@functools.cache
def trainer_class(method: Method) -> type[Any]:
    """TRL's trainer class for the method with Trainwright's behaviour before it."""
    base = getattr(importlib.import_module(method.module), method.trainer)
    of_method: tuple[type[Any], ...] = (UnpairedRows,) if method.batch == "unpaired" else ()
    if hasattr(base, "_tool_call_loop"):
        of_method = (*of_method, ToolLoop)
    if "environment_factory" in inspect.signature(base.__init__).parameters:
        of_method = (*of_method, Episodes)
    return type(
        f"Hooked{base.__name__}",
        (HookedTrainer, *of_method, SealedCheckpoints, base),
        {"_tag_names": [*base._tag_names, "trainwright"]},
    )


def make_trainer(binding: Binding, run: RunFolder, *, calls_tools: bool = True, **keywords: Any) -> Any:
    """The trainer of a run.

    Args:
        binding: Hooks and models that TRL's trainer knows nothing of.
        run: The run's folder.
        calls_tools: Whether the model calls tools, which its chat template then has to know of.
        **keywords: What TRL's trainer takes: `model`, `args`, `train_dataset`, `peft_config`, ….

    Raises:
        TrainwrightError: TRL refuses the combination.
    """
    kind = trainer_class(binding.method)
    given = {name: value for name, value in keywords.items() if value is not None}
    precomputed = precomputes(given["args"], native=binding.native)
    try:
        with ExitStack() as stack:
            if not binding.native:
                stack.enter_context(head_adapters_allowed(given["model"]))
            if not calls_tools:
                stack.enter_context(tools_unseen(kind))
            if precomputed:
                stack.enter_context(switched_off(given["args"], "precompute_ref_log_probs"))
            trainer = kind(binding=binding, **given)
    except TrainwrightError:
        raise
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise RunError(f"TRL's {binding.method.trainer} refuses this run: {error}") from error
    trainer.run = run
    trainer.stateful = {"sums": trainer.sums["train"]}
    if "reference" in binding.method.takes and given["args"].sync_ref_model:
        trainer.stateful["reference"] = SyncedReference(trainer)
    if precomputed:
        precompute(trainer, binding.precomputation or Precomputation())
    return trainer
