"""Which part of the `(N, V)` logits a tile holds, and its memory.

The shape follows from the problem alone, so that a resumed run sums in the order of the first; only where the memory
for it is not free, it is halved until it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from trainwright_ops.plan import Head, Plan
from trainwright_ops.tiles import even_slices

# Rows are padded to whole cache lines: products with odd strides take slow paths.
ALIGNMENT = 128
# Columns below which a tile is cut in tokens instead.
_THINNEST = 1024
# Tokens of a tile of whole rows: products of an H100 reach their rate from about 1,000, and gain nothing past 4,096.
_FROZEN_ROWS, _TRAINED_ROWS = 1024, 4096
_MIB = 1 << 20


class Tiling(NamedTuple):
    """How the logits are cut.

    Attributes:
        tokens: Slices of the tokens.
        columns: Slices of the vocabulary.
        memory: What a tile is a view of.
    """

    tokens: list[slice]
    columns: list[slice]
    memory: Tensor

    def tile(self, rows: slice, columns: slice) -> Tensor:
        """Memory for the products of these tokens with these columns, `(n, width)`."""
        n, width = rows.stop - rows.start, columns.stop - columns.start
        stride = _padded(width)
        return self.memory[: n * stride].view(n, stride)[:, :width]


def blocks(
    head: Head,
    plan: Plan,
    *,
    tokens: int,
    size: int,
) -> Tiling:
    """Tiles of at most `tokens` tokens by as many columns as `size` bytes hold; the caller's chunk size comes first."""
    vocabulary, elements = head.weight.shape[0], size // plan.dtype.itemsize
    if plan.chunk_size is not None:
        elements = plan.chunk_size * vocabulary
    n = max(1, min(len(head.targets), tokens, elements // min(_padded(vocabulary), _THINNEST)))
    step, memory = _reserve(_padded(vocabulary), n, elements // n, ALIGNMENT, head, plan)
    return Tiling(list(even_slices(len(head.targets), n)), list(_slices(vocabulary, step)), memory)


def whole_rows(head: Head, plan: Plan) -> Tiling:
    """Tiles of whole rows of the logits.

    Where the weight is trained its gradient is summed over tiles, and fewer tiles are faster: there a tile may take, on
    top, the memory that the backward pass will want for the rounded gradient anyway.
    """
    row = _padded(head.weight.shape[0])
    longest, size = _FROZEN_ROWS, 400 * _MIB
    if plan.needs.weight:
        longest, size = _TRAINED_ROWS, size + _rounded_bytes(head)
    longest = min(plan.chunk_size or min(longest, size // plan.dtype.itemsize // row), max(len(head.targets), 1))
    step, memory = _reserve(len(head.targets), row, longest, 1, head, plan)
    return Tiling(list(_slices(len(head.targets), step)), [slice(0, head.weight.shape[0])], memory)


def keeps(head: Head, plan: Plan) -> bool:
    """Whether the backward pass finds the logits of the forward: those of a trained head that are one tile.

    The tile may take what the tiles and the fp32 sum of `whole_rows` would, less the gradient that is made beside it.
    """
    tokens, vocabulary = len(head.targets), head.weight.shape[0]
    if plan.lowest or not plan.needs.head or not tokens or (plan.chunk_size or tokens) < tokens:
        return False
    most = 400 * _MIB + (2 * _rounded_bytes(head) if plan.needs.weight else 0)
    return tokens * _padded(vocabulary) * plan.dtype.itemsize <= most


def everything(head: Head, plan: Plan) -> Tiling | None:
    """All logits as one tile; None where its memory is not free."""
    tokens, vocabulary = len(head.targets), head.weight.shape[0]
    try:
        memory = torch.empty(tokens * _padded(vocabulary), dtype=plan.dtype, device=head.hidden.device)
    except torch.OutOfMemoryError:
        return None
    return one_tile(head, memory)


def one_tile(head: Head, memory: Tensor) -> Tiling:
    """All logits as one tile, in this memory."""
    return Tiling([slice(0, len(head.targets))], [slice(0, head.weight.shape[0])], memory)


def block_bytes(head: Head, plan: Plan) -> int:
    """Size of a tile where nothing but hidden's gradient is kept beside it."""
    hidden = head.hidden.numel() * plan.dtype.itemsize
    return min(max(hidden // 2, 24 * _MIB), 64 * _MIB) if plan.lowest else min(400 * _MIB, 220 * _MIB + 2 * hidden)


def recomputed_bytes(head: Head, plan: Plan) -> int:
    """Size of a tile beside a weight's gradient; the larger it is, the less often hidden's is added up in fp32."""
    hidden = head.hidden.numel() * plan.dtype.itemsize
    if plan.lowest:
        return min(max(hidden, 16 * _MIB), 96 * _MIB)
    return 400 * _MIB + (head.weight.shape.numel() * plan.dtype.itemsize // 2 if plan.needs.weight else 0)


def _rounded_bytes(head: Head) -> int:
    """What a weight's gradient takes beside its fp32 sum: nothing where that is its dtype."""
    numel: int = head.weight.shape.numel()
    return 0 if head.weight.dtype == torch.float32 else numel * head.weight.dtype.itemsize


def _reserve(length: int, other: int, longest: int, unit: int, head: Head, plan: Plan) -> tuple[int, Tensor]:
    """Cut `length` into even steps of at most `longest`, and take the memory of one times `other`.

    Both lengths are taken in whole units, and are at least one.

    Returns:
        The step, and its memory: of half the size as often as it takes where that much is not free.
    """
    while True:
        step = _step(length, max(longest // unit * unit, unit))
        try:
            return step, torch.empty(step * other, dtype=plan.dtype, device=head.hidden.device)
        except torch.OutOfMemoryError:
            if step <= unit:
                raise
            longest = step // 2


def _step(length: int, longest: int) -> int:
    """The length of the fewest slices of at most `longest`, aligned where that takes no more of them."""
    even = max(-(-length // max(-(-length // longest), 1)), 1)
    return _padded(even) if _padded(even) <= longest else even


def _slices(length: int, step: int) -> Iterator[slice]:
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def _padded(width: int) -> int:
    return -(-width // ALIGNMENT) * ALIGNMENT
