"""Where the time of a step goes: the head, attention, other matrix products, the optimiser, the rest, and idling."""

from __future__ import annotations

import functools
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction

from e2e.cases import Task
from e2e.trace import Piece, read_trace

PROFILED_STEPS = 2
"""The last steps of a profiled task: one warms the profiler up, one is looked at."""

TOP = 25
_HEAD = "trainwright: head"
_PRODUCT_OPS = {"aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm", "aten::baddbmm", "aten::_grouped_mm"}
_PRODUCT_KERNEL = re.compile(r"gemm|nvjet|cutlass|xmma|cublas|splitK", re.IGNORECASE)
_ATTENTION = re.compile(
    r"scaled_dot_product|_flash_attention|_efficient_attention|_cudnn_attention|flash_fwd|flash_bwd"
)
_CLIPPING = re.compile(r"aten::_foreach_norm|aten::linalg_vector_norm|aten::_foreach_mul_")
_EMBEDDING = re.compile(r"aten::embedding")
_COPY_OPS = {"aten::copy_", "aten::_to_copy"}


class Profile:
    """Profiles the last step of a trainer.

    Args:
        task: The task; its last `PROFILED_STEPS` lengths are those of the profiled steps.
        trainer: The trainer, not yet training.
    """

    def __init__(self, task: Task, trainer: Any) -> None:
        self._pieces: list[Piece] = []
        self._nodes: set[str] = set()
        self._file: Path | None = None
        self._on_gpu = task.device == "cuda"
        for name in ("linear_nll", "linear_logps"):
            _mark(name, self._nodes)
        trainer.add_callback(self._callback(len(task.lengths) - PROFILED_STEPS))

    def _callback(self, unobserved: int) -> Any:
        from torch.profiler import ProfilerActivity, profile, schedule
        from transformers import TrainerCallback

        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self._on_gpu else [])]
        plan = schedule(skip_first=unobserved, wait=0, warmup=1, active=1, repeat=1)
        profiler = profile(activities=activities, schedule=plan)

        class Observer(TrainerCallback):  # type: ignore[misc]
            def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
                profiler.start()

            def on_step_end(self, *args: Any, **kwargs: Any) -> None:
                profiler.step()

        self._export = profiler.export_chrome_trace
        return Observer()

    def table(self, seconds: Sequence[float], folder: Path) -> dict[str, Any]:
        """Milliseconds of each category and of the longest kernels, after training.

        Args:
            seconds: Times of the timed steps; the last `PROFILED_STEPS` of them were profiled.
            folder: Where the trace is written for a moment.
        """
        file = folder / "trace.json"
        self._export(str(file))
        pieces = read_trace(file)
        file.unlink()
        step = 1e3 * statistics.median(seconds[:-PROFILED_STEPS])
        named = [(piece, category(piece, self._nodes)) for piece in pieces]
        sums = _sums(named)
        return {
            "step_ms": step,  # not slowed by the profiler, as kernels are not either
            "categories": {**sums, "idle": max(step - sum(sums.values()), 0.0)},
            "kernels": _longest(named),
        }


def _mark(name: str, nodes: set[str]) -> None:
    """Put a range around a function of `trainwright_ops`, and note the autograd nodes that it makes."""
    import trainwright_ops

    function: Callable[..., Any] = getattr(trainwright_ops, name)

    @functools.wraps(function)
    def marked(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        with torch.profiler.record_function(_HEAD):
            found = function(hidden, *args, **kwargs)
        nodes.update(_own_nodes(found, hidden))
        return found

    setattr(trainwright_ops, name, marked)


def _own_nodes(outputs: Iterable[Any], hidden: torch.Tensor) -> set[str]:
    """Names of the custom autograd functions between the outputs and the hidden states."""
    names: set[str] = set()
    seen = {hidden.grad_fn, None}
    queue = [value.grad_fn for value in outputs if isinstance(value, torch.Tensor)]
    while queue:
        node = queue.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, BackwardCFunction):
            names.add(node.name())
        queue.extend(before for before, _ in node.next_functions)  # type: ignore[union-attr]
    return names


def category(piece: Piece, head_nodes: Iterable[str]) -> str:
    """What a piece is part of.

    Args:
        piece: The piece.
        head_nodes: Names of the head's autograd functions.
    """
    names = (piece.name, *piece.stack)
    inside = set(piece.stack[-2:])
    product = bool(inside & _PRODUCT_OPS) or _PRODUCT_KERNEL.search(piece.name) is not None
    if _HEAD in names or any(name.endswith(tuple(head_nodes)) for name in names):
        return "head: matrix products" if product else "head: the rest"
    if any(_ATTENTION.search(name) for name in names):
        return "attention"
    if any(name.startswith("Optimizer.") or _CLIPPING.search(name) for name in names):
        return "optimiser and clipping"
    if product:
        return "other matrix products"
    if any(_EMBEDDING.search(name) for name in names):
        return "embedding"
    if inside & _COPY_OPS or piece.name.startswith("Memcpy"):
        return "casts and copies"
    return "norms, rotary, activations, sums"


def _sums(named: Sequence[tuple[Piece, str]]) -> dict[str, float]:
    """Milliseconds by category, the longest first."""
    sums: dict[str, float] = defaultdict(float)
    for piece, kind in named:
        sums[kind] += piece.duration / 1e3
    return dict(sorted(sums.items(), key=lambda entry: -entry[1]))


def _longest(named: Sequence[tuple[Piece, str]]) -> list[dict[str, Any]]:
    """The kernels that took longest in sum, each apart by category."""
    durations: dict[tuple[str, str], list[float]] = defaultdict(list)
    for piece, kind in named:
        durations[piece.name, kind].append(piece.duration / 1e3)
    longest = sorted(durations.items(), key=lambda entry: -sum(entry[1]))[:TOP]
    return [
        {"kernel": name, "category": kind, "calls": len(times), "ms": sum(times)} for (name, kind), times in longest
    ]
