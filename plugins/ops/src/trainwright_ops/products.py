"""Matrix products on an LM head: in which dtype they run, and how gradients are summed.

Autocast leaves calls with `out=` and in-place ones alone, so what is cast here stays as it was cast.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Products of 16-bit matrices with an fp32 result: CUDA, torch >= 2.8.
WIDE_RESULTS = hasattr(torch.ops.aten.addmm, "dtype_out")
# p - onehot, within [-1, 1], is lifted by this before it is rounded to fp16, where 1/V would be subnormal.
FP16_LIFT = 2.0**15


def products_dtype(tensor: Tensor) -> torch.dtype:
    """Return the dtype in which a product of `tensor` runs: its own, or autocast's, as in `nn.Linear`.

    fp16 runs in fp32 where its products have no fp32 result: nothing overflows, and a CPU is several times faster.
    """
    device, dtype = tensor.device.type, tensor.dtype
    if dtype != torch.float64 and autocast_enabled(tensor):
        dtype = torch.get_autocast_dtype(device)
    wide_results = WIDE_RESULTS and device == "cuda"
    return torch.float32 if dtype == torch.float16 and not wide_results else dtype


def autocast_enabled(tensor: Tensor) -> bool:
    """Whether autocast is on for the device of `tensor`; some devices (meta) have none."""
    device = tensor.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def lift(narrow: Tensor | None) -> float:
    """What gradients are multiplied by before they are rounded to the dtype of `narrow`."""
    return FP16_LIFT if narrow is not None and narrow.dtype == torch.float16 else 1.0


def product(
    left: Tensor,  # (n, k)
    right: Tensor,  # (k, m)
    *,
    out: Tensor,  # (n, m), the dtype of left, or fp32
) -> None:
    """`out = left · right`, rounded once, to the dtype of `out`."""
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    elif WIDE_RESULTS and left.is_cuda:
        torch.mm(left, right, out_dtype=out.dtype, out=out)
    else:
        out.copy_(left @ right)


def add(
    total: Tensor,  # (n, m), fp32 or fp64; any dtype where fresh
    left: Tensor,  # (n, k)
    right: Tensor,  # (k, m)
    *,
    fresh: bool = False,
    alpha: float = 1.0,
) -> None:
    """`total += alpha · left · right`, without rounding the product first: the error must not grow with the tiles.

    With `fresh` nothing is there yet, and `total` is written without being read.
    """
    if fresh:
        product(left, right, out=total)
        if alpha != 1.0:
            total.mul_(alpha)
    elif left.dtype == total.dtype:
        total.addmm_(left, right, alpha=alpha)
    elif WIDE_RESULTS and left.is_cuda:
        torch.addmm(total, left, right, out_dtype=total.dtype, alpha=alpha, out=total)
    else:
        total.addmm_(left.to(total.dtype), right.to(total.dtype), alpha=alpha)


def finish(
    total: Tensor | None,
    factor: Tensor | float,
    dtype: torch.dtype | None,
    *,
    keep: bool = True,
) -> Tensor | None:
    """Return `factor · total`, rounded to `dtype` once.

    `total` stays as it is with `keep`, for a second backward pass; without, its memory becomes the result's where the
    dtypes agree.
    """
    if total is None:
        return None
    if not keep and total.dtype == dtype:
        return total.mul_(factor)
    return torch.mul(total, factor, out=torch.empty_like(total, dtype=dtype))


def graph_is_kept() -> bool:
    """Whether the backward pass that runs now may be followed by another on the same graph (`retain_graph=True`)."""
    asked = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return True if asked is None else bool(asked())
