"""Adapters with something in them, and the plain model that they stand for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trainwright.testing.bench import Case, _model, _peft

DRAWN = ("lora_A", "lora_B")
MOVED = ("lora_magnitude_vector", "modules_to_save")


def fill_adapter(model: Any) -> None:
    """Give an adapter weights of its own, the same each time; LoRA as it starts changes nothing."""
    import torch

    generator = torch.Generator().manual_seed(7)
    for name, parameter in sorted(model.named_parameters()):
        if any(part in name for part in DRAWN + MOVED):
            noise = 0.05 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            start = 0 if any(part in name for part in DRAWN) else parameter.data
            parameter.data.copy_(start + noise)


def random_adapter(trainer: Any) -> None:
    """`fill_adapter` for a trainer's model: a `Case.wrap`."""
    fill_adapter(trainer.model)


def merged_case(case: Case) -> Case:
    """The case of the plain model that equals `case` with its filled adapter merged in."""
    import peft

    model = peft.get_peft_model(_model(case), _peft(case), autocast_adapter_dtype=False)
    fill_adapter(model)
    weights = model.merge_and_unload().state_dict()

    def edit(plain: Any) -> None:
        plain.load_state_dict(weights)

    # Through an adapter the reference is the model that training starts from.
    return replace(case, peft=None, wrap=None, edit=edit, reference_seed=0)
