"""What is refused, and how it is said: names, shapes, dtypes and values in every message."""

from __future__ import annotations

import torch
from torch import Tensor

from trainwright_ops.products import autocast_enabled
from trainwright_ops.results import STATISTICS


def check_operands(
    hidden: Tensor,  # (..., H)
    weight: Tensor,  # (V, H)
    targets: Tensor,  # (...)
    bias: Tensor | None,  # (V,)
) -> None:
    """Check that the operands fit together.

    Raises:
        TypeError: A dtype that cannot be used, or dtypes that differ outside autocast.
        ValueError: Shapes or devices that do not fit.
    """
    _check_dtypes(hidden, weight, targets, bias)
    shapes = f"hidden {_shape(hidden)}, weight {_shape(weight)}, targets {_shape(targets)}"
    if weight.ndim != 2 or weight.shape[0] == 0:
        raise ValueError(f"weight must be (V, H) with V > 0: {shapes}")
    if hidden.ndim == 0 or hidden.shape[-1] != weight.shape[1]:
        raise ValueError(f"the last dimension of hidden must be H, the second of weight: {shapes}")
    if hidden.shape[:-1] != targets.shape:
        raise ValueError(f"targets must have the shape of hidden without its last dimension: {shapes}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must be (V,) = ({weight.shape[0]},), got {_shape(bias)}: {shapes}")
    devices = {"hidden": hidden.device, "weight": weight.device, "targets": targets.device}
    if bias is not None:
        devices["bias"] = bias.device
    if len(set(devices.values())) > 1:
        raise ValueError(f"all operands must be on one device: {_listed(devices)}")


def _check_dtypes(hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None) -> None:
    floats = {"hidden": hidden, "weight": weight} | ({} if bias is None else {"bias": bias})
    for name, tensor in floats.items():
        if not tensor.is_floating_point():
            raise TypeError(f"{name} must be floating-point, got {tensor.dtype} of shape {_shape(tensor)}")
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise TypeError(f"targets must be integers, got {targets.dtype} of shape {_shape(targets)}")
    dtypes = {name: tensor.dtype for name, tensor in floats.items()}
    autocast = autocast_enabled(hidden) and torch.float64 not in dtypes.values()
    if len(set(dtypes.values())) > 1 and not autocast:
        raise TypeError(f"dtypes differ: {_listed(dtypes)}; cast them, or run under torch.autocast")


def check_chunk_size(chunk_size: int | None) -> None:
    """Raise ValueError unless `chunk_size` is None or a positive number of tokens."""
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be a positive number of tokens, or None, got {chunk_size}")


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


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _listed(values: dict[str, torch.dtype] | dict[str, torch.device]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
