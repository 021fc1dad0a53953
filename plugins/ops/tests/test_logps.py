from __future__ import annotations

import pytest
import torch
from ops_problems import DTYPES, TRANSFORMS, Problem, assert_as_exact_as, make

from trainwright_ops import LinearLogps, linear_logps, linear_logps_reference
from trainwright_ops.results import STATISTICS


def everything(problem: Problem, function, **options) -> list[torch.Tensor]:
    """Log-probs, statistics, and gradients under a different upstream value for each token."""
    result = problem.run(function, statistics=STATISTICS, **options)
    upstream = torch.linspace(-2.1, 1.7, len(problem.targets), dtype=result.logps.dtype)
    gradients = torch.autograd.grad(result.logps, problem.trained, upstream)
    values = [result.logps.detach(), result.entropy, result.mean_logit, result.log_sum_sq]
    return [*values, *gradients]


def assert_exact(problem: Problem, **options) -> None:
    ours = everything(problem, linear_logps, **options)
    reference = everything(problem, linear_logps_reference, **options)
    exact = everything(problem.to(torch.float64), linear_logps_reference, **options)
    assert_as_exact_as(ours, reference, exact, problem.hidden.dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_transforms(dtype, transform, bias, trained):
    assert_exact(make(dtype=dtype, bias=bias, trained=trained), chunk_size=8, **transform)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("tokens", "vocabulary", "width"), [(252, 507, 123), (1, 1, 1), (7, 2, 300)])
@pytest.mark.parametrize("chunk_size", [None, 3, 1000])
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_shapes_and_chunks(dtype, tokens, vocabulary, width, chunk_size, trained):
    assert_exact(make(tokens, vocabulary, width, dtype=dtype, trained=trained, ignored=False), chunk_size=chunk_size)


@pytest.mark.parametrize("frozen", [("weight",), ("weight", "bias"), ("hidden",), ("hidden", "weight"), ("bias",)])
def test_gradients_only_where_wanted(frozen):
    problem = make(dtype=torch.float64, bias=True)
    for name in frozen:
        getattr(problem, name).requires_grad_(False)
    for ours, theirs in zip(
        *(everything(problem, function)[4:] for function in (linear_logps, linear_logps_reference)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_gradcheck(trained, transform):
    problem = make(6, 9, 4, dtype=torch.float64, bias=True, trained=trained)
    logps = lambda *_: problem.run(linear_logps, chunk_size=4, **transform).logps
    assert torch.autograd.gradcheck(logps, problem.trained)


@pytest.mark.parametrize("trained", [False, True])
def test_a_graph_can_be_walked_twice(trained):
    problem = make(trained=trained)
    total = problem.run(linear_logps).logps.sum()
    first = torch.autograd.grad(total, problem.trained, retain_graph=True)
    second = torch.autograd.grad(total, problem.trained)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_only_what_is_asked_and_only_logps_carries_gradient():
    result = make().run(linear_logps, statistics=("top1", "log_sum_sq"))
    assert isinstance(result, LinearLogps)
    assert (result.entropy, result.mean_logit) == (None, None)
    assert [value.requires_grad for value in result if value is not None] == [True, False, False]
    assert result.top1.dtype == torch.bool


def test_unknown_statistic():
    with pytest.raises(ValueError, match=r"unknown statistics 'entropie'; known: entropy, top1"):
        make().run(linear_logps, statistics=("top1", "entropie"))
