"""`linear_logps`: log-probabilities of an LM head's targets, differentiable token by token."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainwright_ops.checks import check_chunk_size, check_statistics
from trainwright_ops.operands import prepare
from trainwright_ops.products import Gradients, Needs, finish, products_dtype
from trainwright_ops.results import STATISTICS, LinearLogps
from trainwright_ops.tiles import Tiles
from trainwright_ops.transform import Transform
from trainwright_ops.wrappers import first_order, untraced


@untraced
def linear_logps(
    hidden: Tensor,  # (..., H)
    weight: Tensor,  # (V, H)
    targets: Tensor,  # (...)
    *,
    bias: Tensor | None = None,  # (V,)
    scale: float = 1.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    ignore_index: int | None = -100,
    chunk_size: int | None = None,
    statistics: Collection[str] = (),
) -> LinearLogps:
    """`log softmax(logits)[target]` of each token, for losses whose weight per token is known only later (DPO, GRPO).

    `logits = softcap · tanh(scale · (hidden · weightᵀ + bias) / softcap) / temperature`. With a frozen head, each
    token's direction `d logp / d hidden` is stored, `(N, H)` in fp32, and the backward pass only scales it: two matrix
    products. With a trained head the backward pass recomputes the logits tile by tile: four.

    Args:
        hidden: Hidden states, fp16, bf16, fp32 or fp64; products run in this dtype or in autocast's.
        weight: The head's weight; a DTensor is gathered.
        targets: Token ids in `[0, V)`, or `ignore_index`; any integer dtype.
        bias: The head's bias.
        scale: Logit scale, before the soft cap.
        softcap: Soft cap of the logits; None for none.
        temperature: Divisor of the logits, after the soft cap.
        ignore_index: Targets whose log-probability is 0 and that are dropped before the head, which on an accelerator
            costs a synchronisation; None if the caller has dropped them: then nothing synchronises.
        chunk_size: Tokens whose logits exist at once; default: about 64 MiB of fp32 logits on a CPU, 1 GiB elsewhere.
        statistics: Which of `entropy`, `top1`, `mean_logit` and `log_sum_sq` to return too, without gradient.

    Returns:
        `LinearLogps(logps, entropy, top1, mean_logit, log_sum_sq)`.

    Raises:
        TypeError: Integer hidden states, floating targets, dtypes that differ outside autocast.
        ValueError: Shapes or devices that do not fit; a meaningless scale, softcap, temperature or chunk_size; an
            unknown statistic.
        IndexError: A target outside the vocabulary, on the CPU. Elsewhere, where looking would synchronise, such a
            target makes its log-probability NaN, and the gradients that depend on it.
    """
    transform = Transform(scale, softcap, temperature)
    transform.check()
    check_chunk_size(chunk_size)
    names = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    check_statistics(names)
    operands = prepare(hidden, weight, targets, bias, ignore_index)
    plan = _Plan(transform, chunk_size, operands.needs, names)
    tensors = (operands.hidden, operands.weight, operands.bias, operands.targets, operands.poison)
    logps, *others = map(operands.restore, _LinearLogps.apply(*tensors, plan))  # type: ignore[no-untyped-call]
    return LinearLogps(logps, *others)


class _Plan(NamedTuple):
    transform: Transform
    chunk_size: int | None
    needs: Needs
    statistics: tuple[str, ...]


class _LinearLogps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,  # (N, H)
        weight: Tensor,  # (V, H)
        bias: Tensor | None,  # (V,)
        targets: Tensor,  # (N,)
        poison: Tensor | None,  # (N,)
        plan: _Plan,
    ) -> tuple[Tensor | None, ...]:
        ctx.plan, ctx.dtype = plan, products_dtype(hidden)
        direction = Needs(plan.needs.hidden and not plan.needs.head, False, False)
        tiles = Tiles(hidden, weight, bias, targets, plan.transform, plan.chunk_size, ctx.dtype)
        gradients = Gradients(direction, tiles.hidden, tiles.weight, tiles.wide)
        logps, statistics = _sweep(tiles, gradients, plan.statistics)
        if poison is not None:
            logps += poison
        operands = (hidden, weight, bias, targets) if plan.needs.head else (None,) * 4
        ctx.save_for_backward(*operands, poison, gradients.hidden)
        ctx.hidden_dtype = hidden.dtype
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*statistics.values())
        return logps, *map(statistics.get, STATISTICS)

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if upstream is None:
            return (None,) * 6
        hidden, weight, bias, targets, poison, direction = ctx.saved_tensors
        if poison is not None:
            upstream = upstream + poison
        if direction is not None:  # made from the gradient of -logps, hence the sign
            factor = -upstream.unsqueeze(1) * ctx.plan.transform.factor
            return finish(direction, factor, ctx.hidden_dtype), *(None,) * 5
        return *_recompute(ctx.plan, ctx.dtype, hidden, weight, bias, targets, upstream), None, None, None


def _sweep(
    tiles: Tiles,
    gradients: Gradients,
    names: tuple[str, ...],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Go through the tiles once: logps `(N,)`, the statistics asked for, and the directions."""
    logps = tiles.per_token()
    ordered = sorted(names, key="mean_logit".__ne__)  # the one that reads the logits comes first
    statistics = {name: tiles.per_token(torch.bool if name == "top1" else None) for name in ordered}
    for tile in tiles:
        logps[tile.rows] = tile.target_logps
        for name, values in statistics.items():
            values[tile.rows] = getattr(tile, name)()
        if gradients.hidden is not None:
            gradients.add(tile.rows, tile.gradient(), tile.narrow)
    return logps, statistics


def _recompute(
    plan: _Plan,
    dtype: torch.dtype,
    hidden: Tensor,  # (N, H)
    weight: Tensor,  # (V, H)
    bias: Tensor | None,  # (V,)
    targets: Tensor,  # (N,)
    upstream: Tensor,  # (N,)
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of hidden, weight and bias from logits that are computed again."""
    tiles = Tiles(hidden, weight, bias, targets, plan.transform, plan.chunk_size, dtype)
    gradients = Gradients(plan.needs, tiles.hidden, tiles.weight, tiles.wide)
    peak = _peak(upstream) if dtype == torch.float16 else 1.0
    weights = (upstream / -peak).unsqueeze(1)
    for tile in tiles:
        gradients.add(tile.rows, tile.gradient().mul_(weights[tile.rows]), tile.narrow)
    factor = plan.transform.factor * peak
    return (
        finish(gradients.hidden, factor, hidden.dtype),
        finish(gradients.weight, factor, weight.dtype),
        None if bias is None else finish(gradients.bias, factor, bias.dtype),
    )


def _peak(
    upstream: Tensor,  # (N,)
) -> Tensor:
    """The largest magnitude, `()`: fp16 takes gradients within [-1, 1], whatever the loss is scaled by."""
    floor = upstream.new_full((1,), torch.finfo(upstream.dtype).tiny)
    return torch.cat((upstream.abs(), floor)).amax()
