"""Quantised heads of bitsandbytes, and their weights as it dequantises them; tests that import this need it."""

from __future__ import annotations

import pytest
import torch

bnb = pytest.importorskip("bitsandbytes", minversion="0.50")  # earlier ones do less on a CPU


def four_bit(width, vocabulary, *, bias=False, weight=None, **options):
    """A `Linear4bit`, quantised; drawn where no weight `(V, H)` is given."""
    torch.manual_seed(0)
    return moved(bnb.nn.Linear4bit(width, vocabulary, bias=bias, **options), weight)


def eight_bit(width, vocabulary, *, bias=False, weight=None):
    torch.manual_seed(0)
    return moved(bnb.nn.Linear8bitLt(width, vocabulary, bias=bias, has_fp16_weights=False), weight)


def moved(head, weight):
    """Moving a head quantises it, even from the CPU to the CPU."""
    if weight is not None:
        head.weight.data.copy_(weight)
    return head.to("cpu").train()


HEADS = {
    "nf4": lambda width, vocabulary, **options: four_bit(width, vocabulary, quant_type="nf4", **options),
    "fp4": lambda width, vocabulary, **options: four_bit(width, vocabulary, quant_type="fp4", **options),
    "nf4-single": lambda width, vocabulary, **options: four_bit(
        width, vocabulary, quant_type="nf4", compress_statistics=False, **options
    ),
    "nf4-in-bf16": lambda width, vocabulary, **options: four_bit(
        width, vocabulary, quant_type="nf4", quant_storage=torch.bfloat16, **options
    ),
    "int8": eight_bit,
}
KINDS = pytest.mark.parametrize("kind", HEADS)


def whole(head) -> torch.Tensor:
    """The weight as the library dequantises it, float64 `(V, H)`."""
    if isinstance(head, bnb.nn.Linear8bitLt):
        return head.weight.data.double() * (head.weight.SCB.double() / 127).unsqueeze(1)
    return bnb.functional.dequantize_4bit(head.weight.data, head.weight.quant_state).double()


ON_GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
