"""The four ways through the tiles; see the package's page for which is which."""

from __future__ import annotations

import torch
from torch import Tensor

from trainwright_ops.gpu import kernels, launch
from trainwright_ops.gpu.blockwise import BlockwiseGradient
from trainwright_ops.gpu.state import measured, new_state, scales
from trainwright_ops.gpu.tiling import (
    Tiling,
    block_bytes,
    blocks,
    everything,
    keeps,
    one_tile,
    recomputed_bytes,
    whole_rows,
)
from trainwright_ops.gradients import empty_gradients, operand_dtypes
from trainwright_ops.plan import Gradients, Head, Measured, Plan
from trainwright_ops.products import add, finish, product
from trainwright_ops.weights import gather, rows

# Tokens of a tile where the vocabulary is cut: long products, whose results still fit the caches.
_TOKENS = 4096
_LOWEST_TOKENS = 1024
# Tokens of a tile where the weight's gradient is made: it is complete without a sum over tiles.
_RECOMPUTED_TOKENS = 16384


def measure(head: Head, plan: Plan) -> Measured:
    """Log-probabilities and statistics; the products too where they are kept."""
    head, state = cast(head, plan), new_state(head)
    whole = everything(head, plan) if keeps(head, plan) else None
    tiling = whole or blocks(head, plan, tokens=_TOKENS, size=block_bytes(head, plan))
    for columns in tiling.columns:
        weight = rows(head.weight, columns.start, columns.stop, plan.dtype)
        for tokens in tiling.tokens:
            tile = _products(tiling, head, weight, tokens, columns)
            launch.fold(tile, head.targets[tokens], state[:, tokens], plan, columns.start, write=False)
    found = measured(state, plan.statistics, head.weight.shape[0])
    return found if whole is None else found._replace(products=whole.memory)


def directions(head: Head, plan: Plan) -> tuple[Measured, Tensor]:
    """Also `d(-logp) / d hidden / factor` of each token, `(N, H)`, fp32; with `lowest` in the dtype of hidden."""
    dtype, head, state = head.hidden.dtype, cast(head, plan), new_state(head)
    longest = _LOWEST_TOKENS if plan.lowest else _TOKENS
    tiling = blocks(head, plan, tokens=longest, size=block_bytes(head, plan))
    if not plan.lowest:
        total = _wide(head, len(head.targets))
        _add_directions(total, head, plan, state, tiling, tiling.tokens)
        return measured(state, plan.statistics, head.weight.shape[0]), total
    result = torch.empty_like(head.hidden, dtype=dtype)
    scratch = _wide(head, max((tokens.stop - tokens.start for tokens in tiling.tokens), default=0))
    for tokens in tiling.tokens:
        part = scratch[: tokens.stop - tokens.start]
        _add_directions(part, head, plan, state, tiling, [tokens])
        result[tokens] = part
    return measured(state, plan.statistics, head.weight.shape[0]), result


def _wide(head: Head, tokens: int) -> Tensor:
    return torch.empty(tokens, head.hidden.shape[1], device=head.hidden.device)


def _add_directions(
    total: Tensor,  # (n, H), fp32, written here
    head: Head,
    plan: Plan,
    state: Tensor,  # (STATE_ROWS, N)
    tiling: Tiling,
    pieces: list[slice],  # n tokens, one after the other
) -> None:
    start = pieces[0].start if pieces else 0
    for columns in tiling.columns:
        weight = rows(head.weight, columns.start, columns.stop, plan.dtype)
        for tokens in pieces:
            out, known = total[tokens.start - start : tokens.stop - start], state[:, tokens]
            tile = _products(tiling, head, weight, tokens, columns)
            launch.fold(tile, head.targets[tokens], known, plan, columns.start, write=True)
            if columns.start:
                launch.shrink_rows(out, known[kernels.SHRUNK.value])
            add(out, tile, weight, fresh=columns.start == 0)
    for tokens in pieces:
        out, targets = total[tokens.start - start : tokens.stop - start], head.targets[tokens]
        if isinstance(head.weight, Tensor):
            launch.finish_directions(out, *scales(state[:, tokens]), head.weight, targets)
        else:
            in_order = torch.arange(len(targets), device=targets.device)
            launch.finish_directions(out, *scales(state[:, tokens]), gather(head.weight, targets), in_order)


def sums(head: Head, plan: Plan, *, dft: bool) -> tuple[Measured, Gradients]:
    """Also the gradients of the summed negative log-likelihood over `factor`, in fp32."""
    head, state = cast(head, plan, hidden=False), new_state(head)  # hidden is cast tile by tile
    weight = rows(head.weight, 0, head.weight.shape[0], plan.dtype)
    total = empty_gradients(plan.needs, head, plan)
    tiling = whole_rows(head, plan)
    columns = tiling.columns[0]
    for tokens in tiling.tokens:
        tile = _products(tiling, head, weight, tokens, columns)
        launch.differentiate_rows(tile, head.targets[tokens], state[:, tokens], plan, dft=dft)
        _add_per_token(total, tile, head, weight, tokens, columns)
        _add_summed(total, tile, head, tokens, columns)
        if total.weight is not None:
            add(total.weight, tile.t(), head.hidden[tokens].to(plan.dtype), fresh=tokens.start == 0)
    return measured(state, plan.statistics, head.weight.shape[0]), total


def recompute(
    head: Head,
    plan: Plan,
    known: Measured,
    upstream: Tensor,  # (N,)
) -> Gradients:
    """Gradients of `Σ upstream · logps` in the dtypes of the operands, from logits that are computed again or kept.

    Kept products are used up, and the weight's gradient is written once: there is nothing to sum over tiles.
    """
    dtypes, head = operand_dtypes(head), cast(head, plan)
    assert known.normalizers is not None
    factors = (upstream * -plan.transform.factor).float().unsqueeze(1)
    ones = torch.ones_like(factors)
    inside, factors = (factors, ones) if plan.lowest else (ones, factors)
    state = torch.cat((known.normalizers, -known.logps.expm1().unsqueeze(0), inside.t()))
    weighted = head if plan.lowest else _weighted(head, plan, factors)
    total = empty_gradients(plan.needs._replace(weight=False), head, plan)
    if known.products is None:
        tiling = blocks(head, plan, tokens=_RECOMPUTED_TOKENS, size=recomputed_bytes(head, plan))
    else:
        tiling = one_tile(head, known.products)
    weight_gradient = BlockwiseGradient(head.weight, tiling) if plan.needs.weight else None
    for columns in tiling.columns:
        weight = rows(head.weight, columns.start, columns.stop, plan.dtype)
        for tokens in tiling.tokens:
            if known.products is None:
                tile = _products(tiling, head, weight, tokens, columns)
            else:
                tile = tiling.tile(tokens, columns)
            launch.differentiate(tile, head.targets[tokens], state[:, tokens], plan.transform, columns.start)
            _add_per_token(total, tile, head, weight, tokens, columns)
            _add_summed(total, tile, weighted, tokens, columns, factors)
            if weight_gradient is not None:
                weight_gradient.add(columns, tile, weighted.hidden[tokens], tokens)
    left: tuple[Tensor | float, ...] = (factors, 1.0, 1.0, factors, 1.0)  # sums over tokens have their factors already
    pieces = zip(total, left, dtypes, strict=True)
    result = Gradients(*(finish(sum_, factor, dtype, keep=False) for sum_, factor, dtype in pieces))
    return result if weight_gradient is None else result._replace(weight=weight_gradient.total)


def _weighted(
    head: Head,
    plan: Plan,
    factors: Tensor,  # (N, 1), fp32
) -> Head:
    """The operands of each token times its factor; `lowest` has it in the tile, which takes no memory.

    There it costs accuracy: the gradient at an unlikely target is next to -1, which rounding leaves alone.
    """
    hidden = finish(head.hidden, factors, plan.dtype) if plan.needs.weight else None
    low = finish(head.low, factors, plan.dtype) if plan.needs.up else None
    return head._replace(hidden=head.hidden if hidden is None else hidden, low=low)


def _add_per_token(
    total: Gradients,
    tile: Tensor,  # (n, width)
    head: Head,
    weight: Tensor,  # (width, H)
    tokens: slice,
    columns: slice,
) -> None:
    """Gradients of single tokens, summed over blocks of the vocabulary."""
    if total.hidden is not None:
        add(total.hidden[tokens], tile, weight, fresh=columns.start == 0)
    if total.low is not None and head.up is not None:
        add(total.low[tokens], tile, head.up[columns], fresh=columns.start == 0)


def _add_summed(
    total: Gradients,
    tile: Tensor,  # (n, width)
    head: Head,
    tokens: slice,
    columns: slice,
    factors: Tensor | None = None,  # (N, 1); what low was multiplied by
) -> None:
    """Gradients of thin operands, summed over tokens."""
    if total.bias is not None:
        if factors is None:
            total.bias[columns] += tile.sum(0, dtype=total.bias.dtype)
        else:
            total.bias[columns] += _weighted_sum(tile, factors[tokens])
    if total.up is not None and head.low is not None:
        add(total.up[columns], tile.t(), head.low[tokens], fresh=tokens.start == 0)


def _weighted_sum(
    tile: Tensor,  # (n, width)
    factors: Tensor,  # (n, 1), fp32
) -> Tensor:
    """Sum of the rows times their factors, `(width,)`, fp32: each factor as what 16 bits hold of it, and the rest."""
    most = factors.to(tile.dtype)
    pairs = torch.cat((most, (factors - most).to(tile.dtype)), 1)
    sums = torch.empty(tile.shape[1], 2, device=tile.device)
    product(tile.t(), pairs, out=sums)
    return sums.sum(1)


def cast(head: Head, plan: Plan, *, hidden: bool = True) -> Head:
    """The operands in the products' dtype, hidden only if asked; the weight's rows are cast where they are used."""

    def to(operand: Tensor | None) -> Tensor | None:
        return None if operand is None else operand.to(plan.dtype)

    states = head.hidden.to(plan.dtype) if hidden else head.hidden
    return head._replace(hidden=states, bias=to(head.bias), low=to(head.low), up=to(head.up))


def _products(tiling: Tiling, head: Head, weight: Tensor, tokens: slice, columns: slice) -> Tensor:
    """The head's products with these columns, `(n, width)`, in the memory of the last tile."""
    tile = tiling.tile(tokens, columns)
    hidden = head.hidden[tokens].to(tile.dtype)
    if head.bias is None:
        torch.mm(hidden, weight.t(), out=tile)
    else:
        torch.addmm(head.bias[columns], hidden, weight.t(), out=tile)
    if head.low is not None and head.up is not None:
        tile.addmm_(head.low[tokens], head.up[columns].t())
    return tile
