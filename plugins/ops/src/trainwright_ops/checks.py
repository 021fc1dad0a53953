"""What is refused, and how it is said: names, shapes, dtypes and values in every message."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainwright_ops.products import autocast_enabled
from trainwright_ops.results import STATISTICS
from trainwright_ops.weights import Weight, WeightRows

MEMORY = ("default", "lowest")


def check_operands(
    hidden: Tensor,  # (..., H)
    weight: Weight,  # (V, H)
    targets: Tensor,  # (...)
    bias: Tensor | None,  # (V,)
    low: Tensor | None,  # (..., r)
    up: Tensor | None,  # (V, r)
) -> None:
    """Check that the operands fit together.

    Raises:
        TypeError: A dtype that cannot be used, or dtypes that differ outside autocast.
        ValueError: Shapes or devices that do not fit.
    """
    operands = {"hidden": hidden, "weight": weight, "targets": targets, "bias": bias, "low": low, "up": up}
    given = {name: operand for name, operand in operands.items() if operand is not None}
    _check_dtypes(hidden, given)
    shapes = ", ".join(f"{name} {_shape(operand)}" for name, operand in given.items())
    if len(weight.shape) != 2 or weight.shape[0] == 0:
        raise ValueError(f"weight must be (V, H) with V > 0: {shapes}")
    if hidden.ndim == 0 or hidden.shape[-1] != weight.shape[1]:
        raise ValueError(f"the last dimension of hidden must be H, the second of weight: {shapes}")
    if hidden.shape[:-1] != targets.shape:
        raise ValueError(f"targets must have the shape of hidden without its last dimension: {shapes}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must be (V,) = ({weight.shape[0]},): {shapes}")
    if low is not None and up is not None:
        _check_low_rank(low, up, hidden.shape[:-1], weight.shape[0], shapes)
    devices = {name: operand.device for name, operand in given.items()}
    if len(set(devices.values())) > 1:
        raise ValueError(f"all operands must be on one device: {_listed(devices)}")


def _check_low_rank(low: Tensor, up: Tensor, tokens: torch.Size, vocabulary: int, shapes: str) -> None:
    if low.ndim == 0 or low.shape[:-1] != tokens or up.ndim != 2 or up.shape != (vocabulary, low.shape[-1]):
        raise ValueError(f"low_rank must be low (..., r), as hidden is (..., H), and up (V, r): {shapes}")


def _check_dtypes(hidden: Tensor, given: dict[str, Tensor | WeightRows]) -> None:
    targets = given["targets"].dtype
    floats = {name: operand.dtype for name, operand in given.items() if name != "targets"}
    for name, dtype in floats.items():
        if not dtype.is_floating_point:
            raise TypeError(f"{name} must be floating-point, got {dtype} of shape {_shape(given[name])}")
    if targets.is_floating_point or targets.is_complex or targets == torch.bool:
        raise TypeError(f"targets must be integers, got {targets} of shape {_shape(given['targets'])}")
    autocast = autocast_enabled(hidden) and torch.float64 not in floats.values()
    made = isinstance(given["weight"], Tensor)  # rows that are made are made in any dtype
    differing = {dtype for name, dtype in floats.items() if made or name != "weight"}
    if len(differing) > 1 and not autocast:
        raise TypeError(f"dtypes differ: {_listed(floats)}; cast them, or run under torch.autocast")


def check_memory(chunk_size: int | None, memory: str) -> None:
    """Raise ValueError unless `chunk_size` is None or positive and `memory` is one of `MEMORY`."""
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be a positive number of tokens, or None, got {chunk_size}")
    if memory not in MEMORY:
        raise ValueError(f"memory must be one of {', '.join(map(repr, MEMORY))}, got {memory!r}")


def check_statistics(statistics: tuple[str, ...]) -> None:
    """Raise ValueError where a statistic is not one of `STATISTICS`."""
    unknown = [name for name in statistics if name not in STATISTICS]
    if unknown:
        raise ValueError(f"unknown statistics {', '.join(map(repr, unknown))}; known: {', '.join(STATISTICS)}")


def check_range(
    targets: Tensor,  # (N,), on the CPU
    vocabulary: int,
    ignore_index: int | None,
) -> None:
    """Check host targets against the vocabulary (`tolist` reads host memory: no operator, no synchronisation).

    Raises:
        IndexError: A target that is neither a token id nor `ignore_index`: the first one, with its position.
    """
    if targets.numel() == 0:
        return
    outside = (targets < 0) | (targets >= vocabulary)
    if ignore_index is not None:
        outside &= targets != ignore_index
    if not outside.any().tolist():
        return
    position = outside.tolist().index(True)
    value = targets[position].tolist()
    count = outside.sum().tolist()
    raise IndexError(
        f"target {value} at position {position} is outside the vocabulary [0, {vocabulary}) and is not "
        f"ignore_index={ignore_index} ({count} of {targets.numel()} targets are)"
    )


def _shape(tensor: Tensor | WeightRows) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _listed(values: Mapping[str, torch.dtype | torch.device]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
