"""What a model's forward is given of a batch, and the model inside its wrappers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from trainwright.loss.supervision import MISMATCHED

NOT_FOR_THE_MODEL = frozenset(
    {"labels", "completion_mask", "label", "prompts", "prompt_attention_mask", "assistant_masks", "seq_lengths"}
)
IMAGE_KEYS = (
    "pixel_values", "image_grid_thw", "pixel_attention_mask", "spatial_shapes", "image_sizes", "token_type_ids",
    "mm_token_type_ids", "image_position_ids",
)  # fmt: skip


def base_model(model: Any) -> Any:
    """The transformers model inside PEFT's wrapper."""
    return model.get_base_model() if is_peft(model) else model


def is_peft(model: Any) -> bool:
    """Whether PEFT wraps this model."""
    return hasattr(model, "peft_config") and hasattr(model, "get_base_model")


def model_inputs(inputs: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The keywords of a model's forward in a batch of this kind."""
    if kind != "rollouts":
        return {
            k: v for k, v in inputs.items() if k not in NOT_FOR_THE_MODEL and not k.startswith(("ref_", MISMATCHED))
        }
    found = {key: inputs[key] for key in IMAGE_KEYS if inputs.get(key) is not None}
    found["input_ids"] = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    found["attention_mask"] = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
    return found
