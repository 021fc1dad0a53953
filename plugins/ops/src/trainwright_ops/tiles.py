"""Tiles of logits, one after the other in the same memory: at most `(chunk_size, V)` exist at any time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from trainwright_ops.plan import Head, Measured, Plan
from trainwright_ops.transform import Transform
from trainwright_ops.weights import rows

# Bytes of one fp32 tile on a CPU: past its caches a tile costs time and gains none. Elsewhere products must be long.
HOST_TILE_BYTES = 64 << 20
DEVICE_TILE_BYTES = 1 << 30
# With memory="lowest".
LOWEST_TILE_BYTES = 16 << 20
# Elements of the scratch memory for row sums: within the caches of a CPU, enough to fill an accelerator.
HOST_SCRATCH = 1 << 18
DEVICE_SCRATCH = 1 << 26


def default_chunk_size(vocabulary: int, device: torch.device, *, lowest: bool = False) -> int:
    """Return how many tokens a tile holds.

    It depends on the vocabulary and the kind of device only: the order of summation follows from it, and a resumed run
    must sum in the order of the first.
    """
    budget = HOST_TILE_BYTES if device.type == "cpu" else DEVICE_TILE_BYTES
    return max(16, (LOWEST_TILE_BYTES if lowest else budget) // (4 * vocabulary))


def even_slices(tokens: int, chunk_size: int) -> Iterator[slice]:
    """Cut `tokens` into the fewest slices of at most `chunk_size`, of nearly equal length (no short last tile)."""
    count = -(-tokens // chunk_size)
    for index in range(count):
        yield slice(index * tokens // count, (index + 1) * tokens // count)


class Tile:
    """The logits of a few tokens, as log-probabilities. Statistics first; `gradient` uses the tile up.

    Attributes:
        rows: The tokens.
        targets: Their token ids, `(n,)`.
        log_probs: Log-probabilities, `(n, V)`, fp32 or fp64.
        target_logps: Those of the targets, `(n,)`.
        narrow: Memory in the products' dtype, `(n, V)`, free for use; None where that dtype is the logits'.
    """

    def __init__(
        self,
        rows: slice,
        targets: Tensor,  # (n,)
        logits: Tensor,  # (n, V)
        log_probs: Tensor,  # (n, V), written here
        narrow: Tensor | None,  # (n, V)
        transform: Transform,
    ) -> None:
        self.rows, self.targets, self.narrow, self.transform = rows, targets, narrow, transform
        self.log_probs = torch.log_softmax(logits, -1, out=log_probs)
        self.target_logps = self._at_target(log_probs)
        self._log_normalizers = self._at_target(logits) - self.target_logps  # (n,)
        self._spare = logits

    @cached_property
    def probs(self) -> Tensor:
        """Probabilities, `(n, V)`, in the memory of the logits."""
        return torch.exp(self.log_probs, out=self._spare)

    def entropy(self) -> Tensor:
        """Entropy of each distribution, `(n,)`."""
        return -_row_dot(self.probs, self.log_probs)

    def top1(self) -> Tensor:
        """Whether the target is the first of the likeliest tokens, `(n,)`, bool."""
        return self.log_probs.argmax(-1) == self.targets

    def mean_logit(self) -> Tensor:
        """Mean of the logits over the vocabulary, `(n,)`; asked before `probs`, which takes the logits' memory."""
        if "probs" in self.__dict__:
            raise RuntimeError("the logits are gone: ask for mean_logit first")
        return self._spare.mean(-1)

    def log_sum_sq(self) -> Tensor:
        """Log of the sum of squared probabilities, `(n,)`."""
        return _row_dot(self.probs, self.probs).log()

    def gradient(self) -> Tensor:
        """`d(-log p_target) / d products / transform.factor`, `(n, V)`: `(p - onehot)` times the soft cap's slope.

        `p - 1` of the target is `expm1(log p)`: a likely target keeps all digits.
        """
        gradient = self.probs.scatter_(1, self.targets.unsqueeze(1), self.target_logps.expm1().unsqueeze(1))
        if self.transform.softcap is not None:
            logits = self.log_probs.add_(self._log_normalizers.unsqueeze(1))
            gradient.mul_(self.transform.slope_(logits))
        return gradient

    def _at_target(self, values: Tensor) -> Tensor:
        return values.gather(1, self.targets.unsqueeze(1)).squeeze(1)


class Tiles:
    """The tiles of a problem; iterating recomputes them.

    Attributes:
        hidden: Hidden states in the products' dtype, `(N, H)`.
        weight: The head's weight in the products' dtype, `(V, H)`.
        low: The low-rank part's hidden states in the products' dtype, `(N, r)`, or None.
        up: Its weight in the products' dtype, `(V, r)`, or None.
    """

    def __init__(self, head: Head, plan: Plan) -> None:
        self.hidden: Tensor = head.hidden.to(plan.dtype)
        self.weight = rows(head.weight, 0, head.weight.shape[0], plan.dtype)
        self.low, self.up, self._bias = (
            None if operand is None else operand.to(plan.dtype) for operand in (head.low, head.up, head.bias)
        )
        self._targets, self._plan = head.targets, plan
        default = default_chunk_size(len(self.weight), self.weight.device, lowest=plan.lowest)
        self._chunk_size = plan.chunk_size or default

    def __iter__(self) -> Iterator[Tile]:
        """Compute tile after tile; the memory of one is that of the next."""
        slices = list(even_slices(len(self.hidden), self._chunk_size))
        longest = max((piece.stop - piece.start for piece in slices), default=0)
        wide, dtype = self._plan.wide, self._plan.dtype
        logits, log_probs = self._empty(longest, wide), self._empty(longest, wide)
        narrow = None if dtype == wide else self._empty(longest, dtype)
        for piece in slices:
            n = piece.stop - piece.start
            yield self._tile(piece, logits[:n], log_probs[:n], None if narrow is None else narrow[:n])

    def measured(self, statistics: tuple[str, ...]) -> Measured:
        """Unwritten memory for the values of all tokens."""
        ordered = sorted(statistics, key="mean_logit".__ne__)  # the one that reads the logits comes first
        values = {name: self._per_token(torch.bool if name == "top1" else self._plan.wide) for name in ordered}
        return Measured(self._per_token(self._plan.wide), None, values)

    def _per_token(self, dtype: torch.dtype) -> Tensor:
        return torch.empty(len(self.hidden), dtype=dtype, device=self.hidden.device)

    def _tile(self, rows: slice, logits: Tensor, log_probs: Tensor, narrow: Tensor | None) -> Tile:
        products = logits if narrow is None else narrow
        if self._bias is None:
            torch.mm(self.hidden[rows], self.weight.t(), out=products)
        else:
            torch.addmm(self._bias, self.hidden[rows], self.weight.t(), out=products)
        if self.low is not None and self.up is not None:
            products.addmm_(self.low[rows], self.up.t())
        if narrow is not None:
            logits.copy_(narrow)
        self._plan.transform.apply_(logits)
        return Tile(rows, self._targets[rows], logits, log_probs, narrow, self._plan.transform)

    def _empty(self, rows: int, dtype: torch.dtype) -> Tensor:
        return torch.empty(rows, len(self.weight), dtype=dtype, device=self.weight.device)


def _row_dot(
    left: Tensor,  # (n, V)
    right: Tensor,  # (n, V)
) -> Tensor:
    """Dot product of each row, `(n,)`, a few rows at a time: no third tile, and no matrix product, lest it be TF32."""
    scratch = HOST_SCRATCH if left.device.type == "cpu" else DEVICE_SCRATCH
    rows = max(1, scratch // left.shape[1])
    return torch.cat([(a * b).sum(-1) for a, b in zip(torch.split(left, rows), torch.split(right, rows), strict=True)])
