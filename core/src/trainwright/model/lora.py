"""PEFT's LoRA settings from the config's section, checked against the model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainwright.config.models import LoraSection
from trainwright.config.words import nearest, suggestion
from trainwright.errors import ModelError, Problem
from trainwright.trainer.methods import Method

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import nn

_NAMED = {
    "r": "r",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "target_modules": "target_modules",
    "modules_to_save": "modules_to_save",
    "bias": "bias",
    "use_dora": "dora",
    "use_rslora": "rslora",
}
"""Field of `LoraConfig` → key of `lora:`."""

_OURS = ("task_type", "peft_type", "inference_mode")
_ALL = "all-linear"


def lora_config(section: LoraSection, method: Method, model: nn.Module | None = None) -> LoraConfig:
    """The `LoraConfig` of a section.

    Args:
        section: The section. The adapter is scaled by alpha / r (rsLoRA: alpha / sqrt(r)); alpha is 2 r by default.
        method: The training method; one that trains scores trains and saves the scalar head, too.
        model: The model that will carry the adapter; where given, what the section names must be in it. Its LM head
            may be named; `all-linear` leaves it out.

    Raises:
        ModelError: `init_kwargs` that `LoraConfig` does not know or that repeat a key, or names that match nothing.
    """
    from peft import LoraConfig, TaskType

    problems = _keyword_problems(section, {field.name for field in dataclasses.fields(LoraConfig) if field.init})
    if model is not None:
        problems += _name_problems(section, model)
    if problems:
        raise ModelError.together(problems)
    values = {name: getattr(section, key) for name, key in _NAMED.items()}
    values["lora_alpha"] = section.alpha if section.alpha is not None else 2 * section.r
    values["task_type"] = TaskType.SEQ_CLS if method.batch == "scores" else TaskType.CAUSAL_LM
    try:
        return LoraConfig(**values, **section.init_kwargs)
    except (TypeError, ValueError, ImportError) as error:
        raise ModelError(f"PEFT refuses the LoRA settings: {error}", where="lora") from error


def _keyword_problems(section: LoraSection, known: set[str]) -> list[Problem]:
    problems = []
    for name in section.init_kwargs:
        where = f"lora.init_kwargs.{name}"
        if name in _NAMED:
            own = f"`lora.{_NAMED[name]}`"
            problems.append(Problem(f"`{name}` in `init_kwargs` is what {own} says", where, f"Set {own}."))
        elif name in _OURS:
            problems.append(Problem(f"`{name}` cannot be given: the method decides it", where, "Remove it."))
        elif name not in known:
            problems.append(Problem(f"`LoraConfig` has no field `{name}`", where, suggestion(name, known)))
    return problems


def _name_problems(section: LoraSection, model: nn.Module) -> list[Problem]:
    """Names of modules that are not in the model. PEFT itself complains only where none of them is."""
    named = dict(model.named_modules())
    targets, saved = section.target_modules, section.modules_to_save or []
    absent = [("modules_to_save", name) for name in saved if not _in(name, named)]
    if isinstance(targets, list):
        absent += [("target_modules", name) for name in targets if not _in(name, named)]
    elif targets != _ALL and not _matched(targets, named):
        absent.append(("target_modules", targets))
    return [_absent(key, name, named) for key, name in absent]


def _in(name: str, named: Mapping[str, Any]) -> bool:
    return any(path == name or path.endswith(f".{name}") for path in named)


def _matched(pattern: str, named: Mapping[str, Any]) -> bool:
    try:
        return any(re.fullmatch(pattern, path) for path in named)
    except re.error:
        return False


def _absent(key: str, name: str, named: Mapping[str, Any]) -> Problem:
    from torch import nn

    kinds = (nn.Linear, nn.Embedding)
    leaves = sorted({path.rsplit(".", 1)[-1] for path, module in named.items() if isinstance(module, kinds)})
    near = nearest(name, leaves)
    remedy = f"Did you mean `{near}`? " if near else ""
    message = f"no module of the model is named `{name}`"
    return Problem(message, f"lora.{key}", f"{remedy}It has: {', '.join(leaves)}.")
