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

# Bytes of a tile. Products of an H100 reach their rate from about 1,000 tokens, and lose it again in slices too thin.
TILE_BYTES = 400 << 20
LOWEST_TILE_BYTES = 16 << 20
# Rows are padded to whole cache lines: products with odd strides take slow paths.
ALIGNMENT = 128
# Columns below which a tile is cut in tokens instead.
_THINNEST = 1024


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
) -> Tiling:
    """Tiles of at most `tokens` tokens by as many columns as memory allows."""
    vocabulary, elements = head.weight.shape[0], _elements(head, plan)
    n = max(1, min(len(head.targets), tokens, elements // min(_padded(vocabulary), _THINNEST)))
    memory = _reserve(elements, n * ALIGNMENT, len(head.targets), head, plan)
    width = max(len(memory) // n // ALIGNMENT * ALIGNMENT, 1)
    return Tiling(list(even_slices(len(head.targets), n)), list(_aligned_slices(vocabulary, width)), memory)


def whole_rows(head: Head, plan: Plan) -> Tiling:
    """Tiles of whole rows of the logits.

    Where the weight is trained its gradient is summed over tiles, and fewer tiles are faster: there a tile may take, on
    top, the memory that the backward pass will want for the rounded gradient anyway. Else about 1,000 tokens suffice.
    """
    vocabulary, width = head.weight.shape
    elements, longest = _elements(head, plan), 1024
    if plan.needs.weight:
        elements, longest = elements + vocabulary * width, len(head.targets)
    if plan.chunk_size is not None:
        elements, longest = plan.chunk_size * _padded(vocabulary), plan.chunk_size
    memory = _reserve(elements, _padded(vocabulary), len(head.targets), head, plan)
    n = max(min(len(memory) // _padded(vocabulary), longest), 1)
    return Tiling(list(_aligned_slices(len(head.targets), n)), [slice(0, vocabulary)], memory)


def _elements(head: Head, plan: Plan) -> int:
    """How many logits the plan lets exist at once."""
    if plan.chunk_size is not None:
        return plan.chunk_size * head.weight.shape[0]
    return (LOWEST_TILE_BYTES if plan.lowest else TILE_BYTES) // plan.dtype.itemsize


def _reserve(elements: int, least: int, tokens: int, head: Head, plan: Plan) -> Tensor:
    """Memory for `elements` logits, or for all there are if that is less; halved while it is not free."""
    elements = max(min(elements, tokens * _padded(head.weight.shape[0])), least)
    while True:
        try:
            return torch.empty(elements, dtype=plan.dtype, device=head.hidden.device)
        except torch.OutOfMemoryError:
            if elements // 2 < least:
                raise
            elements //= 2


def _aligned_slices(length: int, longest: int) -> Iterator[slice]:
    """Cut `length` into the fewest slices of at most `longest`: all but the last of one length, aligned if possible."""
    count = -(-length // longest)
    step = min(_padded(-(-length // max(count, 1))), longest)
    for start in range(0, length, max(step, 1)):
        yield slice(start, min(start + step, length))


def _padded(width: int) -> int:
    return -(-width // ALIGNMENT) * ALIGNMENT
