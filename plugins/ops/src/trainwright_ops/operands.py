"""From what a caller passes to what the engines run on: flat, plain, checked, without ignored tokens."""

from __future__ import annotations

from typing import Any, NamedTuple, overload

import torch
from torch import Tensor

from trainwright_ops.checks import check_operands, check_range
from trainwright_ops.plan import Head, Needs
from trainwright_ops.weights import Weight, requires_grad


class Operands(NamedTuple):
    """A checked problem of `N` tokens, and the way back to the caller's shape.

    Attributes:
        head: The operands.
        poison: NaN where a target was out of range, else 0, `(N,)`; None on the CPU, where that is an error.
        kept: Positions of the tokens among the caller's, `(N,)`; None where none was dropped.
        shape: The shape of the caller's targets.
    """

    head: Head
    poison: Tensor | None
    kept: Tensor | None
    shape: torch.Size

    @property
    def needs(self) -> Needs:
        """Which operands want a gradient, now."""
        enabled = torch.is_grad_enabled()
        return Needs(*(enabled and requires_grad(operand) for operand in self.head[:5]))

    @overload
    def restore(self, values: Tensor) -> Tensor: ...

    @overload
    def restore(self, values: None) -> None: ...

    def restore(
        self,
        values: Tensor | None,  # (N,)
    ) -> Tensor | None:
        """Give per-token values the caller's shape, with 0 at ignored tokens."""
        if values is None:
            return None
        if self.kept is not None:
            values = values.new_zeros(self.shape.numel()).index_copy(0, self.kept, values)
        return values.reshape(self.shape)


def prepare(
    hidden: Tensor,  # (..., H)
    weight: Weight,  # (V, H)
    targets: Tensor,  # (...)
    bias: Tensor | None,  # (V,)
    low_rank: tuple[Tensor, Tensor] | None,  # (..., r), (V, r)
    ignore_index: int | None,
) -> Operands:
    """Check, gather, flatten and drop ignored tokens.

    Dropping needs their number on the host: one synchronisation on an accelerator. `ignore_index=None` drops nothing
    and never synchronises.
    """
    weight = plain(weight) if isinstance(weight, Tensor) else weight
    bias = None if bias is None else plain(bias)
    low, up = low_rank if low_rank is not None else (None, None)
    up = None if up is None else plain(up)
    check_operands(hidden, weight, targets, bias, low, up)
    shape = targets.shape
    hidden, targets = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1).long()
    low = None if low is None else low.reshape(-1, low.shape[-1])
    if on_host(targets):
        check_range(targets, weight.shape[0], ignore_index)
    kept = _kept(targets, ignore_index)
    if kept is not None:
        hidden, targets = hidden.index_select(0, kept), targets.index_select(0, kept)
        low = None if low is None else low.index_select(0, kept)
    poison = None
    if not on_host(targets):
        targets, poison = _poisoned(targets, weight.shape[0], hidden.dtype)
    return Operands(Head(hidden, weight, bias, low, up, targets), poison, kept, shape)


def on_host(targets: Tensor) -> bool:
    """Whether the values of targets can be looked at without waiting for a device."""
    return targets.device.type == "cpu"


def plain(tensor: Tensor) -> Tensor:
    """Gather a sharded tensor (DTensor); any other is returned as it is.

    Each rank's gradient of a gathered tensor is averaged over the mesh, as DDP and FSDP2 average those of parameters.
    A head sharded by vocabulary could be used as it lies only if every rank saw every rank's hidden states; under
    data parallelism gathering those and their gradients moves more bytes than the weight as soon as a step has more
    tokens than the vocabulary has entries / 2, and each rank would wait for the slowest at every tile.
    """
    if not hasattr(tensor, "full_tensor"):
        return tensor
    from torch.distributed.tensor import Partial

    sharded: Any = tensor
    ranks = sharded.device_mesh.size()
    full: Tensor = sharded.full_tensor(grad_placements=[Partial()] * sharded.device_mesh.ndim)
    if full.requires_grad:
        full.register_hook(lambda gradient: gradient / ranks)  # type: ignore[no-untyped-call]
    return full


def _kept(
    targets: Tensor,  # (N,)
    ignore_index: int | None,
) -> Tensor | None:
    """Positions of the targets that are not ignored, `(n,)`; None if that is all of them."""
    if ignore_index is None:
        return None
    kept = (targets != ignore_index).nonzero().squeeze(1)
    return None if len(kept) == len(targets) else kept


def _poisoned(
    targets: Tensor,  # (N,)
    vocabulary: int,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Clamp targets into the vocabulary, and mark with NaN those that were outside: no synchronisation, no assert."""
    clamped = targets.clamp(0, vocabulary - 1)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    poison = torch.zeros(targets.shape, dtype=wide, device=targets.device)
    return clamped, poison.masked_fill_(clamped != targets, torch.nan)
