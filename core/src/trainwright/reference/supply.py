"""What a run's trainer is given of its reference: a model, a place-holder, an adapter, or what to precompute with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from trainwright.config.models import ModelSection, RunConfig
from trainwright.model.find import find_adapter
from trainwright.reference.identity import model_identity
from trainwright.reference.plan import ReferencePlan, plan_reference
from trainwright.reference.precompute import Precomputation
from trainwright.trainer.inputs import is_peft
from trainwright.trainer.methods import Method
from trainwright.trainer.placeholder import placeholder_model
from trainwright.trainer.private import precomputes

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReferenceSupply:
    """What a trainer is given.

    Attributes:
        model: What TRL takes for the reference model; None where the policy serves as TRL has it.
        placeholder: Whether that is a place-holder, to be dropped once the trainer is made.
        adapter: The adapter under which the policy is the reference, as PEFT finds it.
        precomputation: How to precompute, where the run asks for it.
    """

    model: Any = None
    placeholder: bool = False
    adapter: str | None = None
    precomputation: Precomputation | None = None


def supply_reference(
    config: RunConfig, method: Method, args: Any, model: Any, *, reference_free: bool, depends_on: Mapping[str, Any]
) -> ReferenceSupply:
    """Decide what the trainer is given, and load it.

    Args:
        config: The run's config.
        method: Its training method.
        args: TRL's arguments.
        model: The policy as it was loaded.
        reference_free: No loss of the run asks for a reference.
        depends_on: What log-probabilities depend on beside model, rows and TRL's settings.

    Raises:
        ModelError: The reference cannot be loaded.
    """
    if "reference" not in method.takes:
        return ReferenceSupply()
    plan = plan_reference(config, method, model, reference_free=reference_free)
    _log.info("reference: %s", plan)
    adapter = find_adapter(plan.section, config) if plan.how == "second adapter" else None
    if plan.how != "none" and precomputes(args, native=config.native):
        return _without_model(config, adapter, _precomputation(plan, config, depends_on))
    if plan.how == "model":
        return ReferenceSupply(_load(plan.section, config))
    if plan.how == "adapter copy":
        return ReferenceSupply()  # TRL copies it
    return _without_model(config, adapter)


def _without_model(
    config: RunConfig, adapter: str | None, precomputation: Precomputation | None = None
) -> ReferenceSupply:
    """No model of its own. Given none, TRL loads a second copy or copies the adapter, except beside a new adapter."""
    placeholder = config.lora is None
    return ReferenceSupply(placeholder_model() if placeholder else None, placeholder, adapter, precomputation)


def _precomputation(plan: ReferencePlan, config: RunConfig, depends_on: Mapping[str, Any]) -> Precomputation:
    load = partial(_load, plan.section, config)
    adapted = config.lora is not None or config.model.adapter is not None
    policy_serves = plan.how != "model" or (plan.is_start and not adapted)
    lora = config.lora if plan.section is config.model else None
    return Precomputation(
        how=plan.how,
        load=None if policy_serves else load,
        load_sharded=load,
        identity=model_identity(plan.section, config, lora),
        depends_on=depends_on,
    )


def _load(section: ModelSection, config: RunConfig) -> Any:
    """A frozen model. LoRA layers stay in it, and their wrapper goes: what TRL does to a model fits it then."""
    from trainwright.model.load import load_model

    lora = config.lora if section is config.model else None
    model = load_model(section, config, lora=lora, training=False)
    if is_peft(model) and not model.active_peft_config.is_prompt_learning:
        return model.get_base_model()
    return model
