"""`linear_nll`: the summed negative log-likelihood of an LM head, with gradients made in the forward pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainwright_ops.checks import check_chunk_size
from trainwright_ops.operands import prepare
from trainwright_ops.products import Gradients, Needs, finish, products_dtype
from trainwright_ops.results import LinearNLL
from trainwright_ops.tiles import Tile, Tiles
from trainwright_ops.transform import Transform
from trainwright_ops.wrappers import first_order, untraced


@untraced
def linear_nll(
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
    dft: bool = False,
    statistics: bool = False,
) -> LinearNLL:
    """Sum of `-log softmax(logits)[target]` over the tokens, without the `(N, V)` logits.

    `logits = softcap · tanh(scale · (hidden · weightᵀ + bias) / softcap) / temperature`. The loss's gradient is known
    but for a factor once a tile's probabilities are, so it is made there and scaled in the backward pass: three matrix
    products, two with a frozen head, one without gradients (the idea of Liger Kernel, arXiv:2410.10989). Its memory:
    one tile, and the gradients in fp32.

    Args:
        hidden: Hidden states, fp16, bf16, fp32 or fp64; products run in this dtype or in autocast's.
        weight: The head's weight; a DTensor is gathered.
        targets: Token ids in `[0, V)`, or `ignore_index`; any integer dtype.
        bias: The head's bias.
        scale: Logit scale, before the soft cap.
        softcap: Soft cap of the logits; None for none.
        temperature: Divisor of the logits, after the soft cap.
        ignore_index: Targets that carry no loss and are dropped before the head, which on an accelerator costs a
            synchronisation; None if the caller has dropped them: then nothing synchronises.
        chunk_size: Tokens whose logits exist at once; default: about 64 MiB of fp32 logits on a CPU, 1 GiB elsewhere.
        dft: Weigh each token's loss by its own probability, taken as a constant (dynamic fine-tuning,
            arXiv:2508.05629); `nll` stays unweighted.
        statistics: Also return entropy and top-1, from the same tiles.

    Returns:
        `LinearNLL(loss, nll, entropy, top1)`. Without any token the loss is 0 and its gradients are zeros.

    Raises:
        TypeError: Integer hidden states, floating targets, dtypes that differ outside autocast.
        ValueError: Shapes or devices that do not fit; a meaningless scale, softcap, temperature or chunk_size.
        IndexError: A target outside the vocabulary, on the CPU. Elsewhere, where looking would synchronise, such a
            target makes the loss and its gradients NaN.
    """
    transform = Transform(scale, softcap, temperature)
    transform.check()
    check_chunk_size(chunk_size)
    operands = prepare(hidden, weight, targets, bias, ignore_index)
    plan = _Plan(transform, chunk_size, operands.needs, dft, statistics)
    tensors = (operands.hidden, operands.weight, operands.bias, operands.targets, operands.poison)
    loss, *per_token = _LinearNLL.apply(*tensors, plan)  # type: ignore[no-untyped-call]
    nll, entropy, top1 = map(operands.restore, per_token)
    return LinearNLL(loss, nll, entropy, top1)


class _Plan(NamedTuple):
    transform: Transform
    chunk_size: int | None
    needs: Needs
    dft: bool
    statistics: bool


class _LinearNLL(torch.autograd.Function):
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
        dtype = products_dtype(hidden)
        tiles = Tiles(hidden, weight, bias, targets, plan.transform, plan.chunk_size, dtype)
        gradients = Gradients(plan.needs, tiles.hidden, tiles.weight, tiles.wide)
        nll, entropy, top1 = _sweep(tiles, gradients, plan)
        if poison is not None:
            nll += poison
        loss = (nll * torch.exp(-nll) if plan.dft else nll).sum()
        ctx.save_for_backward(gradients.hidden, gradients.weight, gradients.bias, poison)
        ctx.dtypes = (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)
        ctx.factor = plan.transform.factor
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(output for output in (nll, entropy, top1) if output is not None))
        return loss, nll, entropy, top1

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if upstream is None:
            return (None,) * 6
        *totals, poison = ctx.saved_tensors
        factor = upstream * ctx.factor
        if poison is not None:
            factor = factor + poison.sum()
        return (
            *(finish(total, factor, dtype) for total, dtype in zip(totals, ctx.dtypes, strict=True)),
            None,
            None,
            None,
        )


def _sweep(tiles: Tiles, gradients: Gradients, plan: _Plan) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Go through the tiles once: nll `(N,)`, entropy `(N,)`, top-1 `(N,)`, and all gradients."""
    nll = tiles.per_token()
    entropy = tiles.per_token() if plan.statistics else None
    top1 = tiles.per_token(torch.bool) if plan.statistics else None
    for tile in tiles:
        nll[tile.rows] = -tile.target_logps
        if entropy is not None and top1 is not None:
            entropy[tile.rows], top1[tile.rows] = tile.entropy(), tile.top1()
        if any(plan.needs):
            gradients.add(tile.rows, _gradient(tile, plan.dft), tile.narrow)
    return nll, entropy, top1


def _gradient(tile: Tile, dft: bool) -> Tensor:
    gradient = tile.gradient()
    return gradient.mul_(tile.target_logps.exp().unsqueeze(1)) if dft else gradient
