"""On a CUDA device: products with wide results, no synchronisation, no device assert."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from ops_problems import DTYPES, TRANSFORMS, Problem, assert_as_exact_as, make

from trainwright_ops import linear_logps, linear_logps_reference, linear_nll, linear_nll_reference

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
FUNCTIONS = {"nll": (linear_nll, linear_nll_reference), "logps": (linear_logps, linear_logps_reference)}
both = pytest.mark.parametrize(("function", "reference"), FUNCTIONS.values(), ids=FUNCTIONS)
trained_or_not = pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])


def on_device(dtype: torch.dtype = torch.bfloat16, *, trained: bool = True, ignored: bool = False) -> Problem:
    problem = make(300, 1003, 64, dtype=dtype, bias=True, trained=trained, ignored=ignored)
    hidden, weight, bias = (
        t.detach().cuda().requires_grad_(t.requires_grad) for t in (problem.hidden, problem.weight, problem.bias)
    )
    return Problem(hidden, weight, problem.targets.cuda(), bias)


def everything(problem: Problem, function, factor: float = 0.37, **options) -> list[torch.Tensor]:
    values = problem.run(function, **options)[0]
    upstream = torch.linspace(-1.5, 2, values.numel(), device="cuda").view(values.shape).to(values) * factor
    return [values.detach(), *torch.autograd.grad(values, problem.trained, upstream)]


@contextmanager
def synchronisation_is_an_error() -> Iterator[None]:
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@both
@trained_or_not
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("transform", [TRANSFORMS["plain"], TRANSFORMS["all"]], ids=["plain", "all"])
def test_as_exact_as_the_reference(function, reference, dtype, transform, trained):
    problem = on_device(dtype, trained=trained, ignored=True)
    ours, plain = (everything(problem, f, chunk_size=64, **transform) for f in (function, reference))
    exact = everything(problem.to(torch.float64), reference, **transform)
    assert_as_exact_as(ours, plain, exact, dtype)


@both
@trained_or_not
@pytest.mark.parametrize("factor", [1e-6, 65536.0])
def test_fp16_takes_any_loss_scale(function, reference, trained, factor):
    problem = on_device(torch.float16, trained=trained).to(
        torch.float32
    )  # fp32 parameters: the gradients cannot overflow
    with torch.autocast("cuda", dtype=torch.float16):
        ours = everything(problem, function, factor)
    exact = everything(problem.to(torch.float64), reference, factor)
    for value, truth in zip(ours, exact, strict=True):
        assert (value.double() - truth).norm() <= 2 * torch.finfo(torch.float16).eps * truth.norm()


@both
@trained_or_not
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nothing_synchronises_without_ignore_index(function, reference, dtype, trained):
    problem = on_device(dtype, trained=trained)
    everything(problem, function, ignore_index=None)
    with synchronisation_is_an_error():
        everything(problem, function, ignore_index=None, chunk_size=64)


@both
@trained_or_not
def test_target_out_of_range_is_nan_and_no_assert(function, reference, trained):
    problem = on_device(trained=trained)
    problem.targets[7] = 1003
    value, gradient, *_ = everything(problem, function, ignore_index=None)
    torch.cuda.synchronize()
    assert value.isnan().sum() == 1
    assert gradient[7].isnan().all()
