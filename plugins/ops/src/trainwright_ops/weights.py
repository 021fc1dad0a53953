"""A head's weight: a matrix, or something that yields its rows (8- and 4-bit heads), without ever being one."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class WeightRows(Protocol):
    """A frozen head `(V, H)` whose rows are made when they are needed."""

    @property
    def shape(self) -> torch.Size:
        """`(V, H)`."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the rows."""
        ...

    @property
    def device(self) -> torch.device:
        """Where they are made."""
        ...

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop`, `(stop - start, H)`."""
        ...

    def gather(self, index: Tensor) -> Tensor:
        """The rows at `index` `(n,)`, `(n, H)`."""
        ...


Weight: TypeAlias = Tensor | WeightRows


def rows(weight: Weight, start: int, stop: int, dtype: torch.dtype) -> Tensor:
    """Rows `start` to `stop` in `dtype`, `(stop - start, H)`: a view where nothing has to be made."""
    part = weight[start:stop] if isinstance(weight, Tensor) else weight.rows(start, stop)
    return part.to(dtype)


def gather(
    weight: Weight,
    index: Tensor,  # (n,)
) -> Tensor:
    """The rows at `index`, `(n, H)`."""
    return weight.index_select(0, index) if isinstance(weight, Tensor) else weight.gather(index)


def requires_grad(weight: Any) -> bool:
    """Whether a gradient of the weight is wanted; rows that are made have none."""
    return isinstance(weight, Tensor) and weight.requires_grad
