"""The engine of GPUs: cuBLAS for the products, Triton kernels for what lies between them, in bf16 and fp32.

    measure      products -> fold                                      one, a block of the vocabulary a time
    directions   products -> fold, leave exponentials -> · weight      two, divided by the sums at the end
    sums         products -> differentiate_rows -> · weight, ᵀ · hidden   three, whole rows
    recompute    products -> differentiate      -> · weight, ᵀ · hidden   three, a block of the vocabulary a time
                 kept products -> differentiate -> · weight, ᵀ · hidden   two, all at once

`directions` needs no whole rows, because dividing by the sum of exponentials can wait until the product with the weight
is made; a tile is then as wide and as long as products like best. A gradient of the weight sums over tokens, each of
which has a sum of its own: `sums` needs whole rows, `recompute` the sums of an earlier `measure`, and then a block of
the weight's gradient is complete at once, with nothing to add up in fp32. Where all logits are one tile (`keeps`),
`measure` leaves its products for `recompute`: three products in all, and the weight's gradient is written once.
"""

from __future__ import annotations

from trainwright_ops.gpu.sweeps import directions, measure, recompute, sums
from trainwright_ops.gpu.tiling import keeps

__all__ = ["directions", "keeps", "measure", "recompute", "sums"]
