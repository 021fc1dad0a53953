"""Calls of the kernels: grids, block sizes, and the constants that a transform comes down to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import triton
from torch import Tensor

from trainwright_ops.gpu import kernels
from trainwright_ops.plan import Plan
from trainwright_ops.transform import Transform


def fold(
    tile: Tensor,  # (n, width)
    targets: Tensor,  # (n,)
    state: Tensor,  # (STATE_ROWS, n)
    plan: Plan,
    first: int,
    *,
    write: bool,
) -> None:
    """Take a block of the vocabulary into the state; with `write`, leave exponentials in the tile."""
    names = set(plan.statistics)
    statistics, moments = bool(names & {"entropy", "top1"}), bool(names & {"mean_logit", "log_sum_sq"})
    width = tile.shape[1]
    block = _block(width, 4096)
    _launch(kernels.fold, (len(tile),), tile.device)(
        tile, tile.stride(0), targets, state, state.stride(0), first, width, *_constants(plan.transform),
        WRITE=write, STATISTICS=statistics, MOMENTS=moments, BLOCK=block, num_warps=_warps(block, 8),
    )  # fmt: skip


def differentiate_rows(
    tile: Tensor,  # (n, V)
    targets: Tensor,  # (n,)
    state: Tensor,  # (STATE_ROWS, n)
    plan: Plan,
    *,
    dft: bool,
) -> None:
    """Turn whole rows of products into gradients, and note what is known of the tokens."""
    block = _block(tile.shape[1], 4096)
    _launch(kernels.differentiate_rows, (len(tile),), tile.device)(
        tile, tile.stride(0), targets, state, state.stride(0), tile.shape[1], *_constants(plan.transform),
        DFT=dft, STATISTICS=bool(plan.statistics), BLOCK=block, num_warps=_warps(block, 32),
    )  # fmt: skip


def differentiate(
    tile: Tensor,  # (n, width)
    targets: Tensor,  # (n,)
    known: Tensor,  # (4, n)
    transform: Transform,
    first: int,
) -> None:
    """Turn a block of products into gradients, each row times its weight."""
    width = tile.shape[1]
    block = _block(width, 4096)
    _launch(kernels.differentiate, (len(tile), triton.cdiv(width, block)), tile.device)(
        tile, tile.stride(0), targets, known, known.stride(0), first, width, *_constants(transform),
        BLOCK=block, num_warps=_warps(block, 8),
    )  # fmt: skip


def shrink_rows(
    total: Tensor,  # (n, width)
    factors: Tensor,  # (n,)
) -> None:
    """Multiply rows by their factor, in place."""
    _launch(kernels.shrink_rows, (len(total),), total.device)(
        total, total.stride(0), factors, total.shape[1], BLOCK=1024, num_warps=4
    )


def finish_directions(
    total: Tensor,  # (n, H), fp32
    divisors: Tensor,  # (n,)
    factors: Tensor,  # (n,)
    rows: Tensor,  # (V, H)
    index: Tensor,  # (n,)
) -> None:
    """`total / divisors - factors · rows[index]`, in place."""
    _launch(kernels.finish_directions, (len(total),), total.device)(
        total, total.stride(0), divisors, factors, rows, *rows.stride(), index, total.shape[1], BLOCK=1024, num_warps=4
    )


def _constants(transform: Transform) -> tuple[float, float, bool]:
    """`inner`, `outer` and whether there is a soft cap: see `kernels._logits`."""
    if transform.softcap is None:
        return 0.0, transform.factor, False
    return transform.scale / transform.softcap, transform.softcap / transform.temperature, True


def _block(width: int, most: int) -> int:
    return min(most, max(128, 1 << (width - 1).bit_length()))


def _warps(block: int, most: int) -> int:
    """At least four elements a thread; half as many warps where a warp has 64 threads."""
    return max(1, min(most // (2 if torch.version.hip else 1), block // 128))


def _launch(kernel: Any, grid: tuple[int, ...], device: torch.device) -> Callable[..., None]:
    """Triton launches on the current device, which need not be the tensors'."""

    def call(*arguments: Any, **options: Any) -> None:
        if not grid[0]:
            return
        if device.type == "cpu" or device.index == torch.cuda.current_device():  # on a CPU: Triton's interpreter
            kernel[grid](*arguments, **options)
            return
        with torch.cuda.device(device):
            kernel[grid](*arguments, **options)

    return call
