"""Gradients of an LM head, summed tile by tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trainwright_ops.plan import Gradients, Head, Needs, Plan
from trainwright_ops.products import WIDE_RESULTS, add, finish, lift, product

if TYPE_CHECKING:
    from trainwright_ops.tiles import Tiles


class Totals:
    """Sums over tiles, fp32 or fp64.

    Attributes:
        gradients: What has been summed so far; hidden and low are unwritten until their tile was added.
    """

    def __init__(self, needs: Needs, head: Head, tiles: Tiles, plan: Plan) -> None:
        self._tiles, self._plan = tiles, plan
        self.gradients = empty_gradients(needs, head, plan)

    def add(
        self,
        rows: slice,
        gradient: Tensor,  # (n, V), fp32 or fp64; in fp16 within [-1, 1]
        narrow: Tensor | None,  # (n, V), memory in the dtype of the products; None where that is the gradient's
    ) -> None:
        """Add a tile's gradient with respect to the head's products."""
        total, tiles = self.gradients, self._tiles
        if total.bias is not None:
            total.bias.add_(gradient.sum(0))
        if narrow is not None:
            torch.mul(gradient, lift(narrow), out=narrow)
        if total.hidden is not None:
            self._per_token(gradient if narrow is None else narrow, tiles.weight, total.hidden[rows])
        if total.low is not None and tiles.up is not None:
            self._per_token(gradient if narrow is None else narrow, tiles.up, total.low[rows])
        fresh = rows.start == 0
        if total.weight is not None:
            self._summed(total.weight, gradient, narrow, tiles.hidden[rows], fresh)
        if total.up is not None and tiles.low is not None:
            self._summed(total.up, gradient, narrow, tiles.low[rows], fresh)

    def _per_token(self, gradient: Tensor, operand: Tensor, out: Tensor) -> None:
        product(gradient, operand, out=out)
        if lift(gradient) != 1.0:
            out.div_(lift(gradient))

    def _summed(
        self,
        total: Tensor,
        gradient: Tensor,
        narrow: Tensor | None,
        operand: Tensor,
        fresh: bool,
    ) -> None:
        """Where 16-bit products cannot have a wide result, the unrounded gradient is used: no copy of it is needed."""
        if narrow is not None and WIDE_RESULTS and narrow.is_cuda:
            add(total, narrow.t(), operand, fresh=fresh, alpha=1 / lift(narrow))
        else:
            add(total, gradient.t(), operand.to(total.dtype), fresh=fresh)


def empty_gradients(needs: Needs, head: Head, plan: Plan) -> Gradients:
    """Memory for the gradients that are wanted: zeros for bias, unwritten for the others if there are tokens."""
    device, dtype = head.hidden.device, plan.wide

    def make(name: str) -> Tensor | None:
        operand = getattr(head, name)
        if not getattr(needs, name):
            return None
        zeros = name == "bias" or not len(head.targets)
        return (torch.zeros if zeros else torch.empty)(operand.shape, dtype=dtype, device=device)

    return Gradients(*map(make, Gradients._fields))


def finished(
    totals: Gradients,
    factor: Tensor | float,
    dtypes: Sequence[torch.dtype | None],
    *,
    keep: bool = True,
) -> Gradients:
    """`factor · totals`, each rounded once, to the dtype of its operand."""
    return Gradients(*(finish(total, factor, dtype, keep=keep) for total, dtype in zip(totals, dtypes, strict=True)))


def operand_dtypes(head: Head) -> tuple[torch.dtype | None, ...]:
    """Dtypes of the operands that may want a gradient, in the order of `Gradients`."""
    return tuple(None if operand is None else operand.dtype for operand in head[:5])


def peak(
    upstream: Tensor,  # (N,)
) -> Tensor:
    """The largest magnitude, `()`: fp16 takes gradients within [-1, 1], whatever the loss is scaled by."""
    floor = upstream.new_full((1,), torch.finfo(upstream.dtype).tiny)
    return torch.cat((upstream.abs(), floor)).amax()
