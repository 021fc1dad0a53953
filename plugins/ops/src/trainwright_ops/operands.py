"""From what a caller passes to what the tiles run on: flat, plain, checked, without ignored tokens."""

from __future__ import annotations

from typing import Any, NamedTuple, overload

import torch
from torch import Tensor

from trainwright_ops.checks import check_operands, check_range
from trainwright_ops.products import Needs


class Operands(NamedTuple):
    """A checked problem of `N` tokens, and the way back to the caller's shape.

    Attributes:
        hidden: Hidden states, `(N, H)`.
        weight: The head's weight, `(V, H)`.
        bias: The head's bias, `(V,)`, or None.
        targets: Token ids in `[0, V)`, `(N,)`, int64.
        poison: NaN where a target was out of range, else 0, `(N,)`; None on the CPU, where that is an error.
        kept: Positions of the tokens among the caller's, `(N,)`; None where none was dropped.
        shape: The shape of the caller's targets.
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None
    targets: Tensor
    poison: Tensor | None
    kept: Tensor | None
    shape: torch.Size

    @property
    def needs(self) -> Needs:
        """Which of hidden, weight and bias want a gradient, now."""
        enabled, bias = torch.is_grad_enabled(), self.bias is not None and self.bias.requires_grad
        return Needs(enabled and self.hidden.requires_grad, enabled and self.weight.requires_grad, enabled and bias)

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
    weight: Tensor,  # (V, H)
    targets: Tensor,  # (...)
    bias: Tensor | None,  # (V,)
    ignore_index: int | None,
) -> Operands:
    """Check, gather, flatten and drop ignored tokens.

    Dropping needs their number on the host: one synchronisation on an accelerator. `ignore_index=None` drops nothing
    and never synchronises.
    """
    weight, bias = plain(weight), None if bias is None else plain(bias)
    check_operands(hidden, weight, targets, bias)
    shape = targets.shape
    hidden, targets = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1).long()
    if on_host(targets):
        check_range(targets, weight.shape[0], ignore_index)
    hidden, targets, kept = _drop_ignored(hidden, targets, ignore_index)
    poison = None
    if not on_host(targets):
        targets, poison = _poisoned(targets, weight.shape[0], hidden.dtype)
    return Operands(hidden, weight, bias, targets, poison, kept, shape)


def on_host(targets: Tensor) -> bool:
    """Whether the values of targets can be looked at without waiting for a device."""
    return targets.device.type == "cpu"


def plain(tensor: Tensor) -> Tensor:
    """Gather a sharded tensor (DTensor); any other is returned as it is.

    Each rank's gradient of a gathered tensor is averaged over the mesh, as DDP and FSDP2 average those of parameters.
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


def _drop_ignored(
    hidden: Tensor,  # (N, H)
    targets: Tensor,  # (N,)
    ignore_index: int | None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    if ignore_index is None:
        return hidden, targets, None
    kept = (targets != ignore_index).nonzero().squeeze(1)
    if len(kept) == len(targets):
        return hidden, targets, None
    return hidden.index_select(0, kept), targets.index_select(0, kept), kept


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
