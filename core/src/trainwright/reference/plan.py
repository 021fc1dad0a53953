"""Where a run's reference log-probabilities come from: decided once, from the config, for every method alike.

| config                                | reference                   | how it is had                              |
|---------------------------------------|-----------------------------|--------------------------------------------|
| neither `lora:` nor `reference:`      | the model as it starts      | a second copy                              |
| `lora:`                               | the model as it starts      | the policy with its adapter off            |
| `model: {adapter: …}`                 | the adapter as it starts    | a frozen copy of the adapter               |
| `reference:` of the policy's own base | that base                   | the policy with its adapter off            |
| … with `adapter: …`                   | that base with that adapter | a second, frozen adapter on the policy     |
| any other `reference:`                | that model                  | a second model                             |

The policy's base serves as the reference's only while training leaves it alone. Where it does not (`lora.bias`, or an
initialisation such as PiSSA that takes a part out of the base weights), there is a second model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from trainwright.config.models import LoraSection, ModelSection, RunConfig
from trainwright.trainer.inputs import is_peft
from trainwright.trainer.methods import Method

How = Literal["none", "model", "adapter off", "adapter copy", "second adapter"]

_INITIAL = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Beginnings of PEFT's names of initialisations that change the base weights."""


@dataclass(frozen=True)
class ReferencePlan:
    """Where the reference log-probabilities come from.

    Attributes:
        how: `none`; `model`: a model beside the policy; or the policy itself with its adapter off, with a copy of its
            adapter as it starts, or with a second adapter.
        section: The section that names the model, and the adapter if it has one.
        is_start: Whether the reference is what the policy is before training.
    """

    how: How
    section: ModelSection
    is_start: bool

    def __str__(self) -> str:
        """For people: `the model as it starts: the policy with its adapter off`."""
        adapter = f" with the adapter {self.section.adapter}" if self.section.adapter else ""
        name = "the model as it starts" if self.is_start else f"{self.section.path}{adapter}"
        return {
            "none": "no reference",
            "model": f"{name}: a model of its own",
            "adapter off": f"{name}: the policy with its adapter off",
            "adapter copy": f"{name}: the policy with a copy of its adapter",
            "second adapter": f"{name}: the policy with that adapter",
        }[self.how]


def plan_reference(config: RunConfig, method: Method, model: Any, *, reference_free: bool) -> ReferencePlan:
    """Decide where reference log-probabilities come from.

    Args:
        config: The run's config.
        method: Its training method.
        model: The policy as it was loaded, a `PeftModel` where the config names an adapter.
        reference_free: The loss never asks for a reference.
    """
    own = config.reference or config.model
    is_start = _same_base(own, config) and own.adapter == config.model.adapter
    return ReferencePlan(_how(own, config, method, model, reference_free), own, is_start)


def _how(own: ModelSection, config: RunConfig, method: Method, model: Any, reference_free: bool) -> How:
    if reference_free or "reference" not in method.takes:
        return "none"
    adapted = config.lora is not None or config.model.adapter is not None
    if not adapted or _base_changes(config.lora, model) or not _same_base(own, config):
        return "model"
    if own.adapter is None:
        return "adapter off"
    return "adapter copy" if own.adapter == config.model.adapter else "second adapter"


def _base_changes(lora: LoraSection | None, model: Any) -> bool:
    """Whether the policy with its adapter off would be another model than the one that was loaded."""
    if lora is not None:
        initial = lora.init_kwargs.get("init_lora_weights")
        return lora.bias != "none" or (isinstance(initial, str) and initial.startswith(_INITIAL))
    return is_peft(model) and any(getattr(each, "bias", "none") != "none" for each in model.peft_config.values())


def _same_base(own: ModelSection, config: RunConfig) -> bool:
    """Whether a section's model without its adapter is the policy's, stored alike."""
    if own is config.model:
        return True
    stored_alike = config.lora is None or config.lora.quantize is None
    return stored_alike and _base(own, config) == _base(config.model, config)


def _base(section: ModelSection, config: RunConfig) -> dict[str, Any]:
    path = config.resolve(section.path)
    return {**section.model_dump(exclude={"adapter"}), "path": str(path) if path.exists() else section.path}
