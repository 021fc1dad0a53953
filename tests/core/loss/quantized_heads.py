"""Quantised heads of bitsandbytes, and the weights that they stand for; tests that import this need it."""

from __future__ import annotations

import pytest
import torch

bnb = pytest.importorskip("bitsandbytes", minversion="0.50")  # earlier ones do less on a CPU


def four_bit(width, vocabulary, *, bias=False, weight=None, blocksize=64, **options):
    """A `Linear4bit`, quantised; drawn where no weight `(V, H)` is given."""
    torch.manual_seed(0)
    head = bnb.nn.Linear4bit(width, vocabulary, bias=bias, **options)
    head.weight.blocksize = blocksize
    return moved(head, weight)


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
    """The weight by the definition of its format, float64 `(V, H)`.

    Not by bitsandbytes: on CPUs with AVX-512, 0.50.2 gives wrong values where a row ends in the middle of a block.
    """
    if isinstance(head, bnb.nn.Linear8bitLt):
        return head.weight.data.double() * (head.weight.SCB.to(head.weight.device).double() / 127).unsqueeze(1)
    state, packed = head.weight.quant_state, head.weight.data.reshape(-1).view(torch.uint8)
    codes = torch.stack([packed >> 4, packed & 15], 1).flatten()[: state.shape.numel()].long()
    scales = state.absmax.double()
    if state.nested:
        outer, block = state.state2, torch.arange(len(scales))
        scales = outer.code.double()[scales.long()] * outer.absmax.double()[block // outer.blocksize] + state.offset
    return (state.code.double()[codes] * scales[torch.arange(len(codes)) // state.blocksize]).view(state.shape)


ON_GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
