"""A weight's gradient, made a block of the vocabulary at a time: each block is complete before the next begins."""

from __future__ import annotations

import torch
from torch import Tensor

from trainwright_ops.gpu.tiling import Tiling
from trainwright_ops.products import add
from trainwright_ops.weights import Weight


class BlockwiseGradient:
    """The gradient of a weight in its own dtype.

    A block that sums over several tiles is summed in fp32 and rounded once; one that takes a single tile is written by
    its product.

    Attributes:
        total: The gradient, `(V, H)`.
    """

    def __init__(self, weight: Weight, tiling: Tiling) -> None:
        self.total = torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)
        if not tiling.tokens:
            self.total.zero_()
        self._tiling = tiling
        widest = max(columns.stop - columns.start for columns in tiling.columns)
        apart = len(tiling.tokens) > 1 and weight.dtype != torch.float32
        self._scratch = self.total.new_empty(widest, weight.shape[1], dtype=torch.float32) if apart else None

    def add(
        self,
        columns: slice,
        tile: Tensor,  # (n, width), gradients of products
        hidden: Tensor,  # (n, H)
        tokens: slice,
    ) -> None:
        """Add a tile to its block; all tiles of a block come one after the other."""
        block = self.total[columns]
        out = block if self._scratch is None else self._scratch[: len(block)]
        add(out, tile.t(), hidden, fresh=tokens.start == 0)
        if out is not block and tokens == self._tiling.tokens[-1]:
            block.copy_(out)
