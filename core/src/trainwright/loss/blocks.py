"""Walking through a head's weight a few rows at a time, so that what is made of it stays small."""

from __future__ import annotations

from collections.abc import Iterator

import torch

BLOCK_BYTES = 64 << 20
_ALIVE = 3  # tensors of a block's size at once, at most: rows as stored, cast, and what is made of them


def row_blocks(shape: torch.Size, dtype: torch.dtype) -> Iterator[tuple[int, int]]:
    """Cut the rows of a `(V, H)` weight into blocks `(start, stop)` that are worked on in at most 64 MiB.

    Args:
        shape: `(V, H)`.
        dtype: In which the blocks are worked on.
    """
    height = max(1, BLOCK_BYTES // (_ALIVE * shape[1] * dtype.itemsize))
    for start in range(0, shape[0], height):
        yield start, min(start + height, shape[0])
