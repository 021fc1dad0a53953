"""`linear_nll`: the summed negative log-likelihood of an LM head, with gradients made in the forward pass."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from trainwright_ops.gradients import finished, operand_dtypes
from trainwright_ops.logps import token_logps
from trainwright_ops.operands import Operands, prepare
from trainwright_ops.plan import Gradients, Head, Plan, engine, make_plan
from trainwright_ops.products import graph_is_kept
from trainwright_ops.results import LinearNLL
from trainwright_ops.weights import Weight
from trainwright_ops.wrappers import first_order, untraced

_STATISTICS = ("entropy", "top1")


@untraced
def linear_nll(
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
    dft: bool = False,
    statistics: bool = False,
) -> LinearNLL:
    """Sum of `-log softmax(logits)[target]` over the tokens, without the `(N, V)` logits.

    `logits = softcap · tanh(scale · products / softcap) / temperature` with `products = hidden · weightᵀ + low · upᵀ +
    bias`. The loss's gradient is known but for a factor once a tile's probabilities are, so it is made there and scaled
    in the backward pass: three matrix products, two with a frozen head, one without gradients (the idea of Liger
    Kernel, arXiv:2410.10989). Its memory: one tile, and the gradients in fp32. On a GPU, where one tile holds the
    logits of all tokens and the head is trained, it waits for the backward pass: three products too, and no fp32 sum.

    Args:
        hidden: Hidden states, fp16, bf16, fp32 or fp64; products run in this dtype or in autocast's.
        weight: The head's weight; a DTensor is gathered. Or `WeightRows`: a frozen head that yields its rows.
        targets: Token ids in `[0, V)`, or `ignore_index`; any integer dtype.
        bias: The head's bias.
        low_rank: `(low, up)`: a LoRA on the head, without building the merged weight.
        scale: Logit scale, before the soft cap.
        softcap: Soft cap of the logits; None for none.
        temperature: Divisor of the logits, after the soft cap.
        ignore_index: Targets that carry no loss and are dropped before the head, which on an accelerator costs a
            synchronisation; None if the caller has dropped them: then nothing synchronises.
        chunk_size: At most `chunk_size · V` logits exist at once. Default: about 64 MiB of fp32 logits on a CPU; on a
            GPU 400 MiB in the products' dtype, and with a trained 16-bit head as much again as its gradient; halved as
            often as it takes where less memory is free.
        memory: `lowest` for smaller tiles, the gradient of `hidden` stored in its own dtype (one rounding more unless
            the loss's factor is a power of two), and a trained head's logits computed again in the backward pass
            (four products) rather than an fp32 sum of its gradient.
        dft: Weigh each token's loss by its own probability, taken as a constant (dynamic fine-tuning,
            arXiv:2508.05629); `nll` stays unweighted.
        statistics: Also return entropy and top-1, from the same tiles.

    Returns:
        `LinearNLL(loss, nll, entropy, top1)`. Without any token the loss is 0 and its gradients are zeros.

    Raises:
        TypeError: Integer hidden states, floating targets, dtypes that differ outside autocast.
        ValueError: Shapes or devices that do not fit; a meaningless scale, softcap, temperature, chunk_size or memory.
        IndexError: A target outside the vocabulary, on the CPU. Elsewhere, where looking would synchronise, such a
            target makes the loss and its gradients NaN.
    """
    operands = prepare(hidden, weight, targets, bias, low_rank, ignore_index)
    names = _STATISTICS if statistics else ()
    plan = make_plan(operands, scale, softcap, temperature, chunk_size, memory, names)
    if plan.needs.head and not plan.lowest and not engine(operands.head, plan).keeps(operands.head, plan):
        loss, nll, *others = _SummedNLL.apply(*operands.head, operands.poison, plan, dft)  # type: ignore[no-untyped-call]
        entropy, top1 = others
    else:
        loss, nll, entropy, top1 = _from_logps(operands, plan, dft)
    return LinearNLL(loss, *map(operands.restore, (nll, entropy, top1)))


def _from_logps(operands: Operands, plan: Plan, dft: bool) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """The same from log-probabilities, where nothing is saved by summing gradients in the forward pass."""
    logps, statistics = token_logps(operands, plan)
    nll = -logps.detach()
    loss = -(logps * torch.exp(-nll) if dft else logps).sum()
    return loss, nll, statistics.get("entropy"), statistics.get("top1")


class _SummedNLL(torch.autograd.Function):
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
        dft: bool,
    ) -> tuple[Tensor | None, ...]:
        head = Head(hidden, weight, bias, low, up, targets)
        measured, gradients = engine(head, plan).sums(head, plan, dft=dft)
        nll = -measured.logps if poison is None else poison - measured.logps
        loss = (nll * torch.exp(-nll) if dft else nll).sum()
        statistics = [measured.statistics.get(name) for name in _STATISTICS]
        ctx.save_for_backward(*gradients, poison)
        ctx.dtypes, ctx.factor = operand_dtypes(head), plan.transform.factor
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(nll, *(value for value in statistics if value is not None))
        return loss, nll, *statistics

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if upstream is None:
            return (None,) * 9
        *totals, poison = ctx.saved_tensors
        factor = upstream * ctx.factor
        if poison is not None:
            factor = factor + poison.sum()
        gradients = finished(Gradients(*totals), factor, ctx.dtypes, keep=graph_is_kept())
        return *gradients, None, None, None, None
