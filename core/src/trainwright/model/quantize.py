"""QLoRA: how bitsandbytes stores the base model (Dettmers et al. 2023, arXiv:2305.14314)."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from trainwright.config.models import LoraSection, ModelSection, RunConfig
from trainwright.errors import ModelError


def quantization(section: ModelSection, lora: LoraSection | None, config: RunConfig) -> dict[str, Any]:
    """Keywords of `from_pretrained` for a quantised base, empty where none is asked.

    4-bit is NormalFloat with double quantisation; products are computed in float16 where `dtype` says so, else in
    bfloat16. Every rank holds the whole base on its own device.

    Raises:
        ModelError: bitsandbytes is not installed, or there is no CUDA device for it.
    """
    if lora is None or lora.quantize is None:
        return {}
    where = config.where("lora.quantize")
    if find_spec("bitsandbytes") is None:
        message = "quantised training needs the package bitsandbytes, which is not installed"
        raise ModelError(message, where=where, remedy="pip install 'trainwright[qlora]'")
    import torch
    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available() or config.training.get("use_cpu"):
        message = "quantised training needs a CUDA device, and the run has none"
        raise ModelError(message, where=where, remedy="Remove `quantize`, or run where there is a GPU.")
    dtype = torch.float16 if section.dtype == "float16" else torch.bfloat16
    if lora.quantize == "8bit":
        how = BitsAndBytesConfig(load_in_8bit=True)
    else:
        how = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return {"quantization_config": how, "device_map": {"": int(os.environ.get("LOCAL_RANK", "0"))}}
