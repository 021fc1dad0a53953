"""From a head's products to logits: scale, soft cap and temperature, and their derivative."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor


class Transform(NamedTuple):
    """`logits = softcap · tanh(scale · products / softcap) / temperature`; no tanh where `softcap` is None.

    Attributes:
        scale: Logit scale (Cohere's `logit_scale`, the inverse of Granite's `logits_scaling`).
        softcap: Bound on the scaled logits (Gemma 2, arXiv:2408.00118, section 2), > 0.
        temperature: Divisor after the soft cap, > 0.
    """

    scale: float = 1.0
    softcap: float | None = None
    temperature: float = 1.0

    def check(self) -> None:
        """Raise ValueError, naming every parameter that makes no sense."""
        problems = []
        if not math.isfinite(self.scale):
            problems.append(f"scale must be finite, got {self.scale}")
        if self.softcap is not None and not 0 < self.softcap < math.inf:
            problems.append(f"softcap must be positive and finite, or None for no soft cap, got {self.softcap}")
        if not 0 < self.temperature < math.inf:
            problems.append(f"temperature must be positive and finite, got {self.temperature}")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def factor(self) -> float:
        """The constant part of d logits / d products."""
        return self.scale / self.temperature

    def apply_(
        self,
        products: Tensor,  # (n, V)
    ) -> Tensor:
        """Turn products into logits, in place."""
        if self.softcap is not None:
            return products.mul_(self.scale / self.softcap).tanh_().mul_(self.softcap / self.temperature)
        return products if self.factor == 1.0 else products.mul_(self.factor)

    def slope_(
        self,
        logits: Tensor,  # (n, V)
    ) -> Tensor:
        """Turn logits into `d logits / d products / factor = 1 - tanh²`, in place; only with a soft cap."""
        if self.softcap is None:
            raise ValueError("without a soft cap the slope is 1 everywhere")
        return logits.mul_(self.temperature / self.softcap).square_().neg_().add_(1.0)
