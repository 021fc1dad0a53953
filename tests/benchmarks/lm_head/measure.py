"""How a row is measured in a cell: time and peak memory of forward and backward, and the error of its gradients."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lm_head.cells import IGNORED, Operands
from lm_head.rows import Row

WARM_UPS = 3
COMPILED_WARM_UPS = 5
ERROR_FACTOR = 1 / 389  # no power of two: what scaling the gradients rounds away is in their error
GIB = 2**30


@dataclass(frozen=True)
class Measurement:
    """One row in one cell.

    Attributes:
        times: Milliseconds of each forward and backward; empty where it failed.
        peak: GiB above the operands, gradients included; None on a CPU.
        failure: Why there are no figures.
    """

    times: tuple[float, ...] = ()
    peak: float | None = None
    failure: str = ""

    @property
    def milliseconds(self) -> float | None:
        """The median."""
        return statistics.median(self.times) if self.times else None


@dataclass(frozen=True)
class GradientError:
    """Relative Frobenius norm of what is wrong with a row's gradients; `weight` is None with a frozen head."""

    hidden: float | None = None
    weight: float | None = None
    failure: str = ""


def measure(row: Row, operands: Operands, repeats: int) -> Measurement:
    """Medians of `repeats` calls after some to warm up. What fails says why, and the next row can go on."""
    if row.kind == "products":
        operands = operands.kept()
    try:
        step = _step(row, operands, _upstream(row, operands))
        for _ in range(COMPILED_WARM_UPS if row.compiled else WARM_UPS):
            step()
        return _on_gpu(step, operands, repeats) if operands.hidden.is_cuda else _on_cpu(step, repeats)
    except Exception as error:
        return Measurement(failure=_reason(error))
    finally:
        operands.clear()


def gradient_error(row: Row, operands: Operands, true: Operands) -> GradientError:
    """Compare a row's gradients with those of `true_gradients`."""
    try:
        _step(row, operands, _upstream(row, operands, ERROR_FACTOR))()
        hidden = _relative(operands.hidden.grad, true.hidden.grad)
        return GradientError(hidden, _relative(operands.weight.grad, true.weight.grad))
    except Exception as error:
        return GradientError(failure=_reason(error))
    finally:
        operands.clear()


def true_gradients(row: Row, operands: Operands) -> Operands:
    """The operands in float64, with the gradients that a row of this kind ought to have."""
    hidden, weight = (x.detach().double().requires_grad_(x.requires_grad) for x in operands[:2])
    logps = (hidden @ weight.t()).log_softmax(-1).gather(1, operands.targets.unsqueeze(1)).squeeze(1)
    upstream = _upstream(row, operands, ERROR_FACTOR).double()
    (-logps.sum() if row.kind == "nll" else logps).backward(upstream)
    return Operands(hidden, weight, operands.targets)


def free() -> None:
    """Give back what a row left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _step(row: Row, operands: Operands, upstream: Tensor) -> Callable[[], None]:
    function = row.function
    if row.compiled:
        torch.compiler.reset()  # or the shapes of earlier cells would count against its limit of recompilations
        function = torch.compile(function, dynamic=False)

    def step() -> None:
        operands.clear()
        output = function(*operands)
        if output.requires_grad:
            output.backward(upstream.to(output.dtype))

    return step


def _upstream(row: Row, operands: Operands, factor: float | None = None) -> Tensor:
    """What the backward pass starts from: as a trainer's mean over the labelled tokens does, unless told otherwise."""
    hidden, _, targets = operands
    if factor is None:
        factor = 1 / max(1, int((targets != IGNORED).sum()))
    if row.kind != "logps":
        return torch.tensor(factor, device=hidden.device)
    generator = torch.Generator(hidden.device).manual_seed(1)
    return factor * torch.randn(targets.shape, device=hidden.device, generator=generator)


def _on_gpu(step: Callable[[], None], operands: Operands, repeats: int) -> Measurement:
    """One call after the other, as in training: the host may run ahead, and is waited for only at the end."""
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    operands.clear()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    for start, end in events:
        start.record()
        step()
        end.record()
    torch.cuda.synchronize()
    peak = (torch.cuda.max_memory_allocated() - before) / GIB
    return Measurement(tuple(start.elapsed_time(end) for start, end in events), peak)


def _on_cpu(step: Callable[[], None], repeats: int) -> Measurement:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return Measurement(tuple(times))


def _relative(found: Tensor | None, true: Tensor | None) -> float | None:
    if true is None:
        return None
    if found is None:
        raise RuntimeError("no gradient came out")
    return float((found.double() - true).norm() / true.norm())


def _reason(error: Exception) -> str:
    """Why a row has no figures, in a few words."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed"
    if isinstance(error, torch.OutOfMemoryError):
        return "out of memory"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:90]
