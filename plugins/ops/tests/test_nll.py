from __future__ import annotations

import pytest
import torch
from ops_problems import DTYPES, TRANSFORMS, Problem, assert_as_exact_as, make

from trainwright_ops import LinearNLL, linear_nll, linear_nll_reference


def everything(problem: Problem, function, **options) -> list[torch.Tensor]:
    """Loss, nll, entropy, and the gradients of the loss times an upstream factor that no dtype holds exactly."""
    result = problem.run(function, statistics=True, **options)
    gradients = torch.autograd.grad(result.loss * 0.37, problem.trained)
    return [result.loss.detach(), result.nll, result.entropy, *gradients]


def assert_exact(problem: Problem, **options) -> None:
    dtype = problem.hidden.dtype
    ours = everything(problem, linear_nll, **options)
    reference = everything(problem, linear_nll_reference, **options)
    exact = everything(problem.to(torch.float64), linear_nll_reference, **options)
    assert_as_exact_as(ours, reference, exact, dtype)
    for gradient, tensor in zip(ours[3:], problem.trained, strict=True):
        assert gradient.dtype == tensor.dtype


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_transforms(dtype, transform, bias, trained):
    assert_exact(make(dtype=dtype, bias=bias, trained=trained), chunk_size=8, **transform)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("transform", [TRANSFORMS["plain"], TRANSFORMS["all"]], ids=["plain", "all"])
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_dft(dtype, transform, trained):
    assert_exact(make(dtype=dtype, trained=trained), chunk_size=8, dft=True, **transform)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("tokens", "vocabulary", "width"), [(252, 507, 123), (1, 1, 1), (7, 2, 300), (64, 128, 64)])
@pytest.mark.parametrize("chunk_size", [None, 1, 100, 1000])
def test_shapes_and_chunks(dtype, tokens, vocabulary, width, chunk_size):
    if chunk_size == 1 and tokens > 64:
        pytest.skip("252 tiles of one token show nothing that 64 do not")
    assert_exact(make(tokens, vocabulary, width, dtype=dtype, bias=True, ignored=tokens > 1), chunk_size=chunk_size)


def test_dft_against_its_formula():
    problem = make(dtype=torch.float64)
    result = problem.run(linear_nll, dft=True)
    kept = problem.targets != -100
    nll = torch.nn.functional.cross_entropy(problem.hidden @ problem.weight.T, problem.targets, reduction="none")[kept]
    torch.testing.assert_close(result.loss, ((-nll).exp().detach() * nll).sum())
    torch.testing.assert_close(result.nll[kept], nll.detach())


def test_top1_is_the_first_of_the_likeliest():
    hidden, weight = torch.ones(3, 2), torch.ones(4, 2)  # every logit is the same
    result = linear_nll(hidden, weight, torch.tensor([0, 1, 3]), statistics=True)
    assert result.top1.tolist() == [True, False, False]


@pytest.mark.parametrize("bias", ["none", "frozen", "trained"])
@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
def test_gradients_only_where_wanted(hidden, weight, bias):
    problem = make(dtype=torch.float64, bias=bias != "none")
    problem.hidden.requires_grad_(hidden)
    problem.weight.requires_grad_(weight)
    if bias != "none":
        problem.bias.requires_grad_(bias == "trained")
    loss, expected = problem.run(linear_nll).loss, problem.run(linear_nll_reference).loss
    assert loss.requires_grad == bool(problem.trained)
    if problem.trained:
        for ours, theirs in zip(*(torch.autograd.grad(x, problem.trained) for x in (loss, expected)), strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_gradcheck(trained, transform):
    problem = make(6, 9, 4, dtype=torch.float64, bias=True, trained=trained)
    loss = lambda *_: problem.run(linear_nll, chunk_size=4, **transform).loss
    assert torch.autograd.gradcheck(loss, problem.trained)


@pytest.mark.parametrize("factor", [0.0, 1.0, -3.0, 1e-30, 1e30, float("nan")])
def test_upstream_factor(factor):
    problem = make(dtype=torch.float64, ignored=False)
    ours = torch.autograd.grad(problem.run(linear_nll).loss * factor, problem.trained)
    once = torch.autograd.grad(problem.run(linear_nll).loss, problem.trained)
    for scaled, gradient in zip(ours, once, strict=True):
        torch.testing.assert_close(scaled, gradient * factor, equal_nan=True, rtol=1e-14, atol=0)


def test_small_upstream_factors_keep_the_digits_of_fp16():
    problem = make(16, 4000, 8, dtype=torch.float16)  # probabilities below fp16's normal numbers
    problem.hidden.data *= 1e-3
    ours = torch.autograd.grad(problem.run(linear_nll).loss * 1024.0, problem.trained)
    double = problem.to(torch.float64)
    exact = torch.autograd.grad(double.run(linear_nll_reference).loss * 1024.0, double.trained)
    for gradient, truth in zip(ours, exact, strict=True):
        assert (gradient.double() - truth).norm() <= 2 * torch.finfo(torch.float16).eps * truth.norm()


def test_a_graph_can_be_walked_twice():
    problem = make()
    loss = problem.run(linear_nll).loss
    first = torch.autograd.grad(loss * 2, problem.trained, retain_graph=True)
    second = torch.autograd.grad(loss * 2, problem.trained)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_only_the_loss_carries_gradient():
    result = make().run(linear_nll, statistics=True)
    assert isinstance(result, LinearNLL)
    assert [value.requires_grad for value in result] == [True, False, False, False]


def test_statistics_only_when_asked():
    result = make().run(linear_nll)
    assert result.entropy is None
    assert result.top1 is None
