"""On a CUDA device: products with wide results, no synchronisation, no device assert."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from ops_problems import DTYPES, TRANSFORMS, Problem, assert_as_exact_as, make

from trainwright_ops import linear_logps, linear_logps_reference, linear_nll, linear_nll_reference

KERNEL_DTYPES = (torch.bfloat16, torch.float32)
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


@both
@trained_or_not
@pytest.mark.parametrize("memory", ["default", "lowest"])
@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=str)
def test_inside_a_cuda_graph(function, reference, trained, memory, dtype):
    """Captured once, replayed on other values: forward, backward, the same bits as without a graph."""
    problem, other = (on_device(dtype, trained=trained) for _ in range(2))
    options = {"ignore_index": None, "memory": memory, "chunk_size": 64}
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):  # kernels are compiled before anything is captured
        everything(problem, function, **options)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = everything(problem, function, **options)
    with torch.no_grad():
        problem.hidden.copy_(other.hidden * 0.5)
        problem.targets.copy_(other.targets.flip(0))
    graph.replay()
    again = everything(problem, function, **options)
    assert all(torch.equal(a, b) for a, b in zip(captured, again, strict=True))


@pytest.mark.parametrize("chunk_size", [None, 18_000])
def test_more_logits_than_32_bits_count(chunk_size):
    """18,000 × 120,000 logits; the last tokens and the last of the vocabulary are where indices would wrap."""
    generator = torch.Generator("cuda").manual_seed(0)
    random = lambda *shape: torch.randn(*shape, generator=generator, device="cuda", dtype=torch.bfloat16)
    hidden, weight = random(18_000, 16).requires_grad_(), random(120_000, 16).requires_grad_()
    targets = torch.randint(119_000, 120_000, (18_000,), generator=generator, device="cuda")
    result = linear_nll(hidden, weight, targets, chunk_size=chunk_size, statistics=True)
    gradient, weight_gradient = torch.autograd.grad(result.loss, (hidden, weight))
    last = slice(17_900, None)
    part, part_weight = hidden[last].detach().requires_grad_(), weight.detach()
    expected = linear_nll_reference(part, part_weight, targets[last], statistics=True)
    torch.testing.assert_close(result.nll[last], expected.nll, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(result.entropy[last], expected.entropy, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(gradient[last], torch.autograd.grad(expected.loss, part)[0], rtol=2e-2, atol=2e-2)
    assert weight_gradient[-1].any()


@both
@trained_or_not
def test_autocast_over_fp32_parameters(function, reference, trained):
    problem = on_device(torch.float32, trained=trained, ignored=True)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        ours, plain = (everything(problem, f, chunk_size=64) for f in (function, reference))
    exact = everything(problem.to(torch.float64), reference)
    assert all(value.dtype == torch.float32 for value in ours)
    assert_as_exact_as(ours, plain, exact, torch.bfloat16)
