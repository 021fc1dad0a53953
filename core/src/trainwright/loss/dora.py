"""What DoRA (Liu et al. 2024, arXiv:2402.09353) needs of a head's weight: its rows' norms, and its rows scaled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainwright.loss.blocks import row_blocks
from trainwright_ops.weights import Weight, rows


@torch.no_grad()
def row_norms(
    weight: Weight,  # (V, H)
    down: Tensor,  # (r, H)
    up: Tensor,  # (V, r)
    scale: float,
) -> Tensor:
    """`‖W + scale · up · down‖` of each row, `(V,)`, at least fp32, without gradient (section 4.3 of the paper).

    A block of rows at a time, in the same memory: the merged matrix never exists. Products with `out=` run in their
    operands' dtype under autocast too.
    """
    dtype = torch.promote_types(up.dtype, torch.float32)
    up, down = up.to(dtype), down.to(dtype)
    norms = torch.empty(weight.shape[0], dtype=dtype, device=up.device)
    merged = torch.empty(0, dtype=dtype, device=up.device)
    for start, stop in row_blocks(weight.shape, dtype):
        block = rows(weight, start, stop, dtype)
        merged = merged[: stop - start] if len(merged) else torch.empty_like(block)
        torch.addmm(block, up[start:stop], down, alpha=scale, out=merged)
        norms[start:stop] = torch.linalg.vector_norm(merged, dim=1)
    return norms


def scaled_rows(
    weight: Weight,  # (V, H)
    factor: Tensor,  # (V, 1)
    beside: Tensor | None = None,  # (V, r)
) -> Tensor:
    """`[factor · W, beside]`, `(V, H + r)` in the dtype of the weight: the one copy that DoRA's product takes of it.

    The factor's gradient is summed from blocks of rows that are read, or dequantised, again.
    """
    scaled: Tensor = _ScaledRows.apply(weight, factor, beside)  # type: ignore[no-untyped-call]
    return scaled


class _ScaledRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Weight, factor: Tensor, beside: Tensor | None) -> Tensor:
        matrix = isinstance(weight, Tensor)
        ctx.save_for_backward(weight if matrix else None, factor)
        ctx.made, ctx.dtype = None if matrix else weight, None if beside is None else beside.dtype
        height, width = weight.shape
        further = 0 if beside is None else beside.shape[1]
        scaled = torch.empty(height, width + further, dtype=weight.dtype, device=weight.device)
        for start, stop in row_blocks(weight.shape, factor.dtype):
            scaled[start:stop, :width] = rows(weight, start, stop, factor.dtype) * factor[start:stop]
        if beside is not None:
            scaled[:, width:] = beside
        return scaled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, factor = ctx.saved_tensors
        source = ctx.made if weight is None else weight
        scaled = gradient[:, : source.shape[1]]
        of_weight = (scaled * factor).to(source.dtype) if ctx.needs_input_grad[0] else None
        of_factor = _row_products(source, scaled, factor) if ctx.needs_input_grad[1] else None
        of_beside = gradient[:, source.shape[1] :].to(ctx.dtype) if ctx.needs_input_grad[2] else None
        return of_weight, of_factor, of_beside


def _row_products(
    weight: Weight,  # (V, H)
    other: Tensor,  # (V, H)
    like: Tensor,  # (V, 1)
) -> Tensor:
    """Each row of the weight times that of `other`, summed: `(V, 1)` in the dtype of `like`."""
    sums = torch.empty_like(like)
    for start, stop in row_blocks(weight.shape, like.dtype):
        products = rows(weight, start, stop, like.dtype) * other[start:stop]
        sums[start:stop] = products.sum(1, keepdim=True)
    return sums
