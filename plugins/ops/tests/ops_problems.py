"""Small problems for the tests, and the float64 answer that every error is measured against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Every transform alone, and all together.
TRANSFORMS = {
    "plain": {},
    "scale": {"scale": 0.25},
    "softcap": {"softcap": 4.0},
    "temperature": {"temperature": 0.7},
    "all": {"scale": 1.7, "softcap": 6.0, "temperature": 1.3},
}
PRODUCTS = {"mm", "addmm", "addmm_", "bmm", "baddbmm", "mv", "dot"}
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass
class Problem:
    hidden: Tensor
    weight: Tensor
    targets: Tensor
    bias: Tensor | None
    low: Tensor | None = None
    up: Tensor | None = None

    def to(self, *args: Any) -> Problem:
        """A copy in another dtype or on another device, with leaves of its own."""
        operands = (self.hidden, self.weight, self.bias, self.low, self.up)
        hidden, weight, bias, low, up = (
            None if tensor is None else tensor.detach().to(*args).requires_grad_(tensor.requires_grad)
            for tensor in operands
        )
        targets = self.targets if isinstance(args[0], torch.dtype) else self.targets.to(*args)
        return Problem(hidden, weight, targets, bias, low, up)

    @property
    def trained(self) -> list[Tensor]:
        operands = (self.hidden, self.weight, self.bias, self.low, self.up)
        return [t for t in operands if t is not None and t.requires_grad]

    def run(self, function: Any, **options: Any) -> Any:
        low_rank = None if self.low is None else (self.low, self.up)
        return function(self.hidden, self.weight, self.targets, bias=self.bias, low_rank=low_rank, **options)


class Record(TorchDispatchMode):
    """Operators by name, and the number of elements of the largest result."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: Counter[str] = Counter()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.operators[func.overloadpacket.__name__] += 1
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, torch.Tensor):
                self.largest = max(self.largest, value.untyped_storage().nbytes() // value.element_size())
        return result

    @property
    def products(self) -> int:
        return sum(self.operators[name] for name in PRODUCTS)


def make(
    tokens: int = 29,
    vocabulary: int = 61,
    width: int = 17,
    *,
    dtype: torch.dtype = torch.float32,
    bias: bool = False,
    trained: bool = True,
    ignored: bool = True,
    rank: int = 0,
    seed: int = 0,
) -> Problem:
    """Random operands of `dtype`; every fifth token ignored; with a rank, a low-rank part that is trained."""
    generator = torch.Generator().manual_seed(seed)
    random = lambda *shape: torch.randn(*shape, generator=generator)
    targets = torch.randint(0, vocabulary, (tokens,), generator=generator)
    if ignored:
        targets[::5] = -100
    return Problem(
        random(tokens, width).to(dtype).requires_grad_(),
        (random(vocabulary, width) * 0.4).to(dtype).requires_grad_(trained),
        targets,
        random(vocabulary).to(dtype).requires_grad_(trained) if bias else None,
        random(tokens, rank).to(dtype).requires_grad_() if rank else None,
        (random(vocabulary, rank) * 0.4).to(dtype).requires_grad_() if rank else None,
    )


def error(value: Tensor, exact: Tensor) -> float:
    """Relative error in the Euclidean norm."""
    norm = exact.double().norm().item()
    return (value.double() - exact.double()).norm().item() / (norm or 1.0)


def assert_as_exact_as(values: list[Tensor], references: list[Tensor], exact: list[Tensor], dtype: torch.dtype) -> None:
    """Each error is at most 1.5 times the plain reference's in that dtype, plus a few roundings of the wide dtype.

    A sum's error is that of its terms, whose signs may cancel in one and not in the other: one rounding of theirs.
    """
    floor = 16 * torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
    for index, (value, reference, truth) in enumerate(zip(values, references, exact, strict=True)):
        bound = 1.5 * error(reference, truth) + floor + (torch.finfo(dtype).eps if value.ndim == 0 else 0)
        assert error(value, truth) <= bound, f"value {index}: {error(value, truth):.2e} > {bound:.2e}"
