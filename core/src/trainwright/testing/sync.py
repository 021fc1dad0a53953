"""Find what makes the host wait for the device. On a CPU nothing waits: the operations themselves are watched for."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# What the model's own code does in its forward is not the loss's doing; ops looks at targets on a CPU only.
_NOT_THE_LOSS = ("/transformers/", "/peft/", "/accelerate/", "/trainwright_ops/checks.py")
_WAITING = {
    "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::bincount", "aten::_unique2",
    "aten::equal",
}  # fmt: skip
_METHODS = ("tolist", "numpy", "cpu", "item")


class HostWaits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes each operation whose result the host must read, with the line that asked for it.

    Args:
        found: Where the notes go, one string each.
    """

    def __init__(self, found: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        by_mask = name in ("aten::index", "aten::index_put_", "aten::index_put") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if name in _WAITING or by_mask:
            _note(self.found, name)
        return func(*args, **(kwargs or {}))


def _note(found: list[str], what: str) -> None:
    frames = [frame for frame in traceback.extract_stack() if "/torch/" not in frame.filename]
    frames = [frame for frame in frames if not frame.filename.endswith("testing/sync.py")]
    if frames and not any(part in frames[-1].filename for part in _NOT_THE_LOSS):
        found.append(f"{frames[-1].filename}:{frames[-1].lineno}: {what}: {frames[-1].line}")


@contextmanager
def _watched_methods(found: list[str]) -> Iterator[None]:
    originals = {name: getattr(torch.Tensor, name) for name in _METHODS}

    def watch(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def method(*args: Any, **kwargs: Any) -> Any:
            _note(found, f"Tensor.{name}")
            return original(*args, **kwargs)

        return method

    for name, original in originals.items():
        setattr(torch.Tensor, name, watch(name, original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(torch.Tensor, name, original)


def watched(found: list[str]) -> Callable[[Any], None]:
    """A `Case.wrap` that notes the waits of every `compute_loss` but the first, which verifies the model once."""

    def wrap(trainer: Any) -> None:
        compute_loss = trainer.compute_loss
        calls: list[None] = []

        def watch(*args: Any, **kwargs: Any) -> Any:
            calls.append(None)
            if len(calls) == 1:
                return compute_loss(*args, **kwargs)
            with _watched_methods(found), HostWaits(found):
                return compute_loss(*args, **kwargs)

        trainer.compute_loss = watch

    return wrap
