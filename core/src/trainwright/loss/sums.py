"""Metrics that cost a training step nothing: (sum, count) pairs on the device, reduced over ranks once a log event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_PART = "\x1f"  # between a name and its part


def means(reduced: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Name → mean, from what `Sums.reduce` yields; the parts of a name are added up.

    A loss of nothing is 0. Another mean of nothing is no number and left out, as are the margins of rows of one kind.
    """
    found: dict[str, float] = {}
    undefined = set()
    for key, (total, count) in reduced.items():
        name = key.partition(_PART)[0]
        found[name] = found.get(name, 0.0) + total / max(count, 1.0)
        if not count and name.partition("/")[0] != "loss":
            undefined.add(name)
    return {name: mean for name, mean in found.items() if name not in undefined}


class Sums:
    """Named running means.

    `add` never waits for the device. `reduce` adds up all ranks and copies to the host: one collective, one stall.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, name: str, values: Tensor, count: Tensor | int | None = None, part: str = "") -> None:
        """Add values to a mean.

        Args:
            name: The metric's name.
            values: Any shape; they are summed in float64 on the CPU and in float32 elsewhere.
            count: What the sum is to be divided by; default the number of values.
            part: For a name that is a sum of several means, each with a count of its own: which of them this is.
        """
        name = f"{name}{_PART}{part}" if part else name
        pair = _pair(values, count)
        before = self._sums.get(name)
        self._sums[name] = pair if before is None else before + pair

    def reduce(self) -> dict[str, tuple[float, float]]:
        """(sum, count) over all ranks since the last call; a name that only some ranks know is fine."""
        names, table = self._over_ranks()
        self._sums.clear()
        return {name: (total, count) for name, (total, count) in zip(names, table, strict=True)}

    def _over_ranks(self) -> tuple[list[str], list[list[float]]]:
        names = sorted(self._sums)
        if _several_ranks():
            gathered: list[list[str]] = [[] for _ in range(torch.distributed.get_world_size())]
            torch.distributed.all_gather_object(gathered, names)
            names = sorted(set().union(*gathered))
        if not names:
            return [], []
        device = _device()  # a sum that was known on the host joins the others here
        nothing = torch.zeros(2, dtype=_dtype(device), device=device)
        table = torch.stack([self._sums.get(name, nothing).to(nothing) for name in names])
        if _several_ranks():
            torch.distributed.all_reduce(table)
        rows: list[list[float]] = table.tolist()
        return names, rows

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, on the host: name → (kind of device, sum and count)."""
        return {name: (pair.device.type, pair.cpu()) for name, pair in self._sums.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's sums."""
        self._sums = {name: pair if kind == "cpu" else pair.to(_device()) for name, (kind, pair) in state.items()}


def mean_over_ranks(parts: Sequence[Tensor | tuple[Tensor, Tensor | int]]) -> Tensor:
    """The mean of values of all ranks, `()`, on the device and without gradient; 0 where there are none.

    One collective; ranks may hold different numbers of values, and none.

    Args:
        parts: Values of any shape on one device, or (values, what their sum is to be divided by); at least one part.
    """
    pairs = [part if isinstance(part, tuple) else (part, part.numel()) for part in parts]
    first = pairs[0][0]
    table = torch.stack([_pair(values, count) for values, count in pairs]).sum(0)
    if _several_ranks():
        torch.distributed.all_reduce(table)
    return (table[0] / table[1].clamp(min=1)).to(first.dtype)


def on_every_rank(wanted: bool) -> bool:
    """Whether each rank wants it, for all of them alike: one collective, which the host waits for."""
    return mean_over_ranks([torch.tensor(float(wanted), device=_device())]).item() == 1.0


def _pair(values: Tensor, count: Tensor | int | None) -> Tensor:
    """The sum of values and its count, `(2,)`."""
    total = values.detach().to(_dtype(values.device)).sum()
    count = values.numel() if count is None else count
    amount = count.detach().to(total) if isinstance(count, Tensor) else total.new_full((), count)
    return torch.stack([total, amount])


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _several_ranks() -> bool:
    return _is_distributed() and torch.distributed.get_world_size() > 1


def _dtype(device: torch.device) -> torch.dtype:
    return torch.float64 if device.type == "cpu" else torch.float32


def _device() -> torch.device:
    """Where collectives of this process work: its GPU under NCCL, else the CPU; alone, wherever there is a GPU."""
    on_cpu = _is_distributed() and torch.distributed.get_backend() == "gloo"
    if on_cpu or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())
