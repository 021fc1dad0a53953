"""What the engines are given: the operands of one call, and how it is to be computed."""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from trainwright_ops.checks import check_memory
from trainwright_ops.products import WIDE_RESULTS, products_dtype
from trainwright_ops.transform import Transform
from trainwright_ops.weights import Weight

if TYPE_CHECKING:
    from trainwright_ops.operands import Operands


class Needs(NamedTuple):
    """Which operands want a gradient."""

    hidden: bool
    weight: bool
    bias: bool
    low: bool
    up: bool

    @property
    def head(self) -> bool:
        """Whether anything but the hidden states is trained."""
        return self.weight or self.bias or self.low or self.up


class Head(NamedTuple):
    """The operands: `products = hidden · weightᵀ + low · upᵀ + bias`.

    Attributes:
        hidden: Hidden states, `(N, H)`.
        weight: The head's weight, `(V, H)`.
        bias: Its bias, `(V,)`, or None.
        low: Hidden states through a LoRA's `A`, `(N, r)`, or None.
        up: The LoRA's `B`, `(V, r)`, or None.
        targets: Token ids in `[0, V)`, `(N,)`, int64.
    """

    hidden: Tensor
    weight: Weight
    bias: Tensor | None
    low: Tensor | None
    up: Tensor | None
    targets: Tensor

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """The operands as `save_for_backward` takes them; a weight that is no tensor has to be kept elsewhere."""
        return (self.hidden, self.weight if isinstance(self.weight, Tensor) else None, *self[2:])


class Plan(NamedTuple):
    """How a call is computed.

    Attributes:
        transform: From products to logits.
        dtype: In which the products run.
        needs: Which gradients are wanted.
        chunk_size: The caller's bound on the logits in memory, in tokens; None for the default.
        lowest: The least memory, at the price of time.
        statistics: What is asked for beside the log-probabilities.
    """

    transform: Transform
    dtype: torch.dtype
    needs: Needs
    chunk_size: int | None
    lowest: bool
    statistics: tuple[str, ...]

    @property
    def wide(self) -> torch.dtype:
        """Dtype of logits and sums: fp32, or fp64."""
        return torch.float64 if self.dtype == torch.float64 else torch.float32


class Measured(NamedTuple):
    """What one pass over the logits yields, `(N,)` each unless it says otherwise.

    Attributes:
        logps: Log-probability of each target.
        normalizers: What `recompute` of the same engine needs to know of the logits, `(2, N)`, or None.
        statistics: Those asked for, by name.
        products: The memory of the head's products with padded rows, flat, where they are kept for the backward pass.
    """

    logps: Tensor
    normalizers: Tensor | None
    statistics: dict[str, Tensor]
    products: Tensor | None = None


class Gradients(NamedTuple):
    """Gradients of a sum over tokens; None where none is wanted. Per token: hidden, low. Summed: weight, bias, up."""

    hidden: Tensor | None  # (N, H)
    weight: Tensor | None  # (V, H)
    bias: Tensor | None  # (V,)
    low: Tensor | None  # (N, r)
    up: Tensor | None  # (V, r)


def make_plan(
    operands: Operands,
    scale: float,
    softcap: float | None,
    temperature: float,
    chunk_size: int | None,
    memory: str,
    statistics: tuple[str, ...],
) -> Plan:
    """Check the options that both functions share, and gather them.

    Raises:
        ValueError: One that makes no sense.
    """
    transform = Transform(scale, softcap, temperature)
    transform.check()
    check_memory(chunk_size, memory)
    dtype = products_dtype(operands.head.hidden)
    return Plan(transform, dtype, operands.needs, chunk_size, memory == "lowest", statistics)


def engine(head: Head, plan: Plan) -> Any:
    """The module that computes: kernels on a GPU where they serve the dtype, torch operators elsewhere.

    Both have `keeps`, `measure`, `directions`, `sums` and `recompute`, with the same signatures.
    """
    if head.hidden.is_cuda and plan.dtype in (torch.bfloat16, torch.float32) and _kernels_available():
        from trainwright_ops import gpu

        return gpu
    from trainwright_ops import host

    return host


@functools.cache
def _kernels_available() -> bool:
    """Triton comes with torch on Linux; 16-bit products with fp32 results came with torch 2.8."""
    return WIDE_RESULTS and importlib.util.find_spec("triton") is not None
