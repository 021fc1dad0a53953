"""Metrics that cost a training step nothing: (sum, count) pairs on the device, reduced over ranks once a log event."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Sums:
    """Named running means.

    `add` never waits for the device. `reduce` adds up all ranks and copies to the host: one collective, one stall.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, name: str, values: Tensor, count: Tensor | int | None = None) -> None:
        """Add values to a mean.

        Args:
            name: The metric's name.
            values: Any shape; they are summed in float64 on the CPU and in float32 elsewhere.
            count: What the sum is to be divided by; default the number of values.
        """
        total = values.detach().to(_dtype(values.device)).sum()
        count = values.numel() if count is None else count
        amount = count.detach().to(total) if isinstance(count, Tensor) else total.new_full((), count)
        pair = torch.stack([total, amount])
        before = self._sums.get(name)
        self._sums[name] = pair if before is None else before + pair

    def reduce(self) -> dict[str, tuple[float, float]]:
        """(sum, count) over all ranks since the last call; a name that only some ranks know is fine."""
        names, table = self._over_ranks()
        self._sums.clear()
        return {name: (total, count) for name, (total, count) in zip(names, table, strict=True)}

    def _over_ranks(self) -> tuple[list[str], list[list[float]]]:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        names = sorted(self._sums)
        if distributed and torch.distributed.get_world_size() > 1:
            gathered: list[list[str]] = [[] for _ in range(torch.distributed.get_world_size())]
            torch.distributed.all_gather_object(gathered, names)
            names = sorted(set().union(*gathered))
        if not names:
            return [], []
        device = _device()  # a sum that was known on the host joins the others here
        nothing = torch.zeros(2, dtype=_dtype(device), device=device)
        table = torch.stack([self._sums.get(name, nothing).to(nothing) for name in names])
        if distributed and torch.distributed.get_world_size() > 1:
            torch.distributed.all_reduce(table)
        rows: list[list[float]] = table.tolist()
        return names, rows

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, on the host: name → (kind of device, sum and count)."""
        return {name: (pair.device.type, pair.cpu()) for name, pair in self._sums.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's sums."""
        self._sums = {name: pair if kind == "cpu" else pair.to(_device()) for name, (kind, pair) in state.items()}


def _dtype(device: torch.device) -> torch.dtype:
    return torch.float64 if device.type == "cpu" else torch.float32


def _device() -> torch.device:
    """Where collectives of this process work: its GPU under NCCL, else the CPU; alone, wherever there is a GPU."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    on_cpu = distributed and torch.distributed.get_backend() == "gloo"
    if on_cpu or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())
