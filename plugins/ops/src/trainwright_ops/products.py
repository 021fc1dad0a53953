"""Matrix products on an LM head: in which dtype they run, and how gradients are summed.

Autocast leaves calls with `out=` and in-place ones alone, so what is cast here stays as it was cast.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Products of 16-bit matrices with an fp32 result: CUDA, torch >= 2.8.
_WIDE_RESULTS = hasattr(torch.ops.aten.addmm, "dtype_out")
# p - onehot, within [-1, 1], is lifted by this before it is rounded to fp16, where 1/V would be subnormal.
_FP16_LIFT = 2.0**15


def products_dtype(tensor: Tensor) -> torch.dtype:
    """Return the dtype in which a product of `tensor` runs: its own, or autocast's, as in `nn.Linear`.

    fp16 runs in fp32 where its products have no fp32 result: nothing overflows, and a CPU is several times faster.
    """
    device, dtype = tensor.device.type, tensor.dtype
    if dtype != torch.float64 and autocast_enabled(tensor):
        dtype = torch.get_autocast_dtype(device)
    wide_results = _WIDE_RESULTS and device == "cuda"
    return torch.float32 if dtype == torch.float16 and not wide_results else dtype


def autocast_enabled(tensor: Tensor) -> bool:
    """Whether autocast is on for the device of `tensor`; some devices (meta) have none."""
    device = tensor.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


class Needs(NamedTuple):
    """Which operands want a gradient."""

    hidden: bool
    weight: bool
    bias: bool

    @property
    def head(self) -> bool:
        """Whether the head is trained."""
        return self.weight or self.bias


class Gradients:
    """Gradients summed over tiles, fp32 or fp64: hidden `(N, H)`, weight `(V, H)`, bias `(V,)`; None if not needed."""

    def __init__(
        self,
        needs: Needs,
        hidden: Tensor,  # (N, H), dtype of the products
        weight: Tensor,  # (V, H), dtype of the products
        wide: torch.dtype,
    ) -> None:
        self._hidden, self._weight = hidden, weight
        new = weight.new_zeros
        self.hidden = torch.empty_like(hidden, dtype=wide) if needs.hidden else None
        self.weight = new(weight.shape, dtype=wide) if needs.weight else None
        self.bias = new(len(weight), dtype=wide) if needs.bias else None

    def add(
        self,
        rows: slice,
        gradient: Tensor,  # (n, V), fp32 or fp64; in fp16 within [-1, 1]
        narrow: Tensor | None,  # (n, V), memory in the dtype of the products; None where that is the gradient's
    ) -> None:
        """Add a tile's gradient with respect to the head's products."""
        if self.bias is not None:
            self.bias += gradient.sum(0)
        if narrow is not None:
            torch.mul(gradient, _lift(narrow), out=narrow)
        if self.hidden is not None:
            _product(gradient if narrow is None else narrow, self._weight, out=self.hidden[rows])
        if self.weight is not None:
            _add_product(self.weight, gradient, narrow, self._hidden[rows])


def finish(
    total: Tensor | None,
    factor: Tensor | float,
    dtype: torch.dtype,
) -> Tensor | None:
    """Return `factor · total`, rounded to `dtype` once; `total` stays as it is, for a second backward."""
    if total is None:
        return None
    return torch.mul(total, factor, out=torch.empty_like(total, dtype=dtype))


def _lift(narrow: Tensor) -> float:
    return _FP16_LIFT if narrow.dtype == torch.float16 else 1.0


def _product(
    left: Tensor,  # (n, V)
    right: Tensor,  # (V, H)
    *,
    out: Tensor,  # (n, H), fp32 or fp64
) -> None:
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    elif _WIDE_RESULTS and left.is_cuda:
        torch.mm(left, right, out_dtype=out.dtype, out=out).div_(_lift(left))
    else:
        out.copy_(left @ right)


def _add_product(
    total: Tensor,  # (V, H), fp32 or fp64
    gradient: Tensor,  # (n, V), the dtype of total
    narrow: Tensor | None,  # (n, V), the lifted gradient in the dtype of hidden
    hidden: Tensor,  # (n, H)
) -> None:
    """Add `gradientᵀ · hidden` without rounding the product first: the error must not grow with the number of tiles."""
    if narrow is not None and _WIDE_RESULTS and narrow.is_cuda:
        alpha = 1 / _lift(narrow)
        torch.addmm(total, narrow.t(), hidden, out_dtype=total.dtype, alpha=alpha, out=total)
    else:
        total.addmm_(gradient.t(), hidden.to(total.dtype))
