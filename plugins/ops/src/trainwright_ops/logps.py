"""`linear_logps`: log-probabilities of an LM head's targets, differentiable token by token."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import torch
from torch import Tensor

from trainwright_ops.checks import check_statistics
from trainwright_ops.operands import Operands, prepare
from trainwright_ops.plan import Head, Measured, Plan, engine, make_plan
from trainwright_ops.products import finish, graph_is_kept
from trainwright_ops.results import STATISTICS, LinearLogps
from trainwright_ops.weights import Weight
from trainwright_ops.wrappers import first_order, untraced


@untraced
def linear_logps(
    hidden: Tensor,  # (..., H)
    weight: Weight,  # (V, H)
    targets: Tensor,  # (...)
    *,
    bias: Tensor | None = None,  # (V,)
    low_rank: tuple[Tensor, Tensor] | None = None,  # (..., r), (V, r)
    scale: float = 1.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    ignore_index: int | None = -100,
    chunk_size: int | None = None,
    memory: Literal["default", "lowest"] = "default",
    statistics: Collection[str] = (),
) -> LinearLogps:
    """`log softmax(logits)[target]` of each token, for losses whose weight per token is known only later (DPO, GRPO).

    `logits = softcap · tanh(scale · products / softcap) / temperature` with `products = hidden · weightᵀ + low · upᵀ +
    bias`. With a frozen head, each token's direction `d logp / d hidden` is stored, `(N, H)` in fp32, and the backward
    pass only scales it: two matrix products. With a trained head the backward pass computes the logits again: four.
    On a GPU, tokens so few that their logits are one tile keep it for the backward pass: three.

    Args:
        hidden: Hidden states, fp16, bf16, fp32 or fp64; products run in this dtype or in autocast's.
        weight: The head's weight; a DTensor is gathered. Or `WeightRows`: a frozen head that yields its rows.
        targets: Token ids in `[0, V)`, or `ignore_index`; any integer dtype.
        bias: The head's bias.
        low_rank: `(low, up)`: a LoRA on the head, without building the merged weight.
        scale: Logit scale, before the soft cap.
        softcap: Soft cap of the logits; None for none.
        temperature: Divisor of the logits, after the soft cap.
        ignore_index: Targets whose log-probability is 0 and that are dropped before the head, which on an accelerator
            costs a synchronisation; None if the caller has dropped them: then nothing synchronises.
        chunk_size: At most `chunk_size · V` logits exist at once; default: see `linear_nll`.
        memory: `lowest` for smaller tiles, and directions in the dtype of `hidden`, which round once more.
        statistics: Which of `entropy`, `top1`, `mean_logit` and `log_sum_sq` to return too, without gradient.

    Returns:
        `LinearLogps(logps, entropy, top1, mean_logit, log_sum_sq)`.

    Raises:
        TypeError: Integer hidden states, floating targets, dtypes that differ outside autocast.
        ValueError: Shapes or devices that do not fit; a meaningless scale, softcap, temperature, chunk_size or memory;
            an unknown statistic.
        IndexError: A target outside the vocabulary, on the CPU. Elsewhere, where looking would synchronise, such a
            target makes its log-probability NaN, and the gradients that depend on it.
    """
    names = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    check_statistics(names)
    operands = prepare(hidden, weight, targets, bias, low_rank, ignore_index)
    plan = make_plan(operands, scale, softcap, temperature, chunk_size, memory, names)
    logps, others = token_logps(operands, plan)
    restored = {name: operands.restore(value) for name, value in others.items()}
    return LinearLogps(operands.restore(logps), **restored)


def token_logps(operands: Operands, plan: Plan) -> tuple[Tensor, dict[str, Tensor]]:
    """Log-probabilities of flat operands, `(N,)`, and the statistics of the plan by name."""
    logps, *others = _LinearLogps.apply(*operands.head, operands.poison, plan)  # type: ignore[no-untyped-call]
    return logps, {name: value for name, value in zip(STATISTICS, others, strict=True) if value is not None}


class _LinearLogps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,  # (N, H)
        weight: Weight,  # (V, H)
        bias: Tensor | None,  # (V,)
        low: Tensor | None,  # (N, r)
        up: Tensor | None,  # (V, r)
        targets: Tensor,  # (N,)
        poison: Tensor | None,  # (N,)
        plan: Plan,
    ) -> tuple[Tensor | None, ...]:
        head = Head(hidden, weight, bias, low, up, targets)
        measured, direction = _forward(head, plan)
        logps = measured.logps if poison is None else measured.logps + poison
        kept = (*head.tensors, *measured[:2], measured.products) if plan.needs.head else (None,) * 9
        ctx.save_for_backward(*kept, direction, poison)
        ctx.plan, ctx.hidden_dtype = plan, hidden.dtype
        ctx.weight_rows = None if isinstance(weight, Tensor) else weight
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*measured.statistics.values())
        return logps, *map(measured.statistics.get, STATISTICS)

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if upstream is None:
            return (None,) * 8
        *kept, direction, poison = ctx.saved_tensors
        if poison is not None:
            upstream = upstream + poison
        factor = -upstream.unsqueeze(1) * ctx.plan.transform.factor  # directions are those of -logps
        scaled = finish(direction, factor, ctx.hidden_dtype, keep=graph_is_kept())
        if not ctx.plan.needs.head:
            return scaled, *(None,) * 7
        hidden, weight, *others, logps, normalizers, products = kept
        head = Head(hidden, ctx.weight_rows if weight is None else weight, *others)
        plan = ctx.plan if scaled is None else ctx.plan._replace(needs=ctx.plan.needs._replace(hidden=False))
        # They are used up: for a second backward pass they are computed again.
        measured = Measured(logps, normalizers, {}, None if graph_is_kept() else products)
        gradients = engine(head, plan).recompute(head, plan, measured, upstream)
        return gradients.hidden if scaled is None else scaled, *gradients[1:], None, None, None


def _forward(head: Head, plan: Plan) -> tuple[Measured, Tensor | None]:
    """Directions are stored where they save a product, and where the gradient of hidden must not wait in fp32."""
    chosen = engine(head, plan)
    if plan.needs.hidden and (plan.lowest or not plan.needs.head):
        found: tuple[Measured, Tensor] = chosen.directions(head, plan)
        return found
    return chosen.measure(head, plan), None
