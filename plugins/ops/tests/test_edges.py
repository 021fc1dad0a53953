"""What is true of both functions: no tokens, ignored tokens, odd inputs, autocast, compile, checkpointing."""

from __future__ import annotations

import pytest
import torch
from ops_problems import error, make
from torch.utils.checkpoint import checkpoint

from trainwright_ops import linear_logps, linear_logps_reference, linear_nll, linear_nll_reference

FUNCTIONS = {"nll": (linear_nll, linear_nll_reference), "logps": (linear_logps, linear_logps_reference)}
both = pytest.mark.parametrize(("function", "reference"), FUNCTIONS.values(), ids=FUNCTIONS)
trained_or_not = pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])


def gradients(problem, function, **options):
    return torch.autograd.grad(problem.run(function, **options)[0].sum(), problem.trained)


def assert_same(problem, function, reference, **options):
    torch.testing.assert_close(problem.run(function, **options)[0], problem.run(reference, **options)[0])
    ours, theirs = gradients(problem, function, **options), gradients(problem, reference, **options)
    torch.testing.assert_close(ours, theirs)


@both
@trained_or_not
def test_all_ignored_is_zero_and_connected(function, reference, trained):
    problem = make(trained=trained, bias=True)
    problem.targets.fill_(-100)
    assert not problem.run(function)[0].any()
    assert not any(gradient.any() for gradient in gradients(problem, function))


@both
@trained_or_not
@pytest.mark.parametrize("ignore_index", [None, -100])
def test_no_tokens(function, reference, trained, ignore_index):
    problem = make(0, trained=trained, bias=True)
    values = problem.run(function, ignore_index=ignore_index)
    assert values[0].sum() == 0
    assert all(not gradient.any() for gradient in gradients(problem, function, ignore_index=ignore_index))


@both
def test_ignored_tokens_equal_dropped_ones(function, reference):
    problem = make()
    whole = problem.run(function)[0]
    kept = problem.targets != -100
    part = function(problem.hidden[kept], problem.weight, problem.targets[kept], ignore_index=None)[0]
    torch.testing.assert_close(whole if whole.ndim == 0 else whole[kept], part)
    assert whole.ndim == 0 or not whole[~kept].any()


@both
def test_another_ignore_index(function, reference):
    problem = make(ignored=False)
    assert_same(problem, function, reference, ignore_index=int(problem.targets[0]))


@both
def test_leading_dimensions(function, reference):
    problem = make(24)
    problem.hidden = problem.hidden.detach().reshape(2, 3, 4, -1).requires_grad_()
    problem.targets = problem.targets.reshape(2, 3, 4)
    assert_same(problem, function, reference)
    assert problem.run(function)[1 if function is linear_nll else 0].shape == (2, 3, 4)


@both
def test_one_token_without_dimensions(function, reference):
    hidden, weight = torch.randn(5), torch.randn(7, 5)
    result, expected = (f(hidden, weight, torch.tensor(3)) for f in (function, reference))
    torch.testing.assert_close(result[0], expected[0])
    assert result[0].shape == ()


@both
@trained_or_not
def test_strided_and_expanded_operands(function, reference, trained):
    problem = make(30, 61, 17, trained=trained, bias=True)
    problem.hidden = problem.hidden.detach()[:1].expand(30, 17).requires_grad_()
    problem.weight = torch.randn(17, 122)[:, ::2].T.requires_grad_(trained)
    problem.bias = torch.zeros(1).expand(61).requires_grad_(trained)
    problem.targets = problem.targets[:1].fill_(3).expand(30)
    assert_same(problem, function, reference)


@both
@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_other_integer_targets(function, reference, dtype):
    problem = make(ignored=False)
    expected = problem.run(reference)[0]
    problem.targets = problem.targets.to(dtype)
    torch.testing.assert_close(problem.run(function)[0], expected)


@both
def test_one_weight_used_twice(function, reference):
    embedding, tokens = torch.randn(11, 6, requires_grad=True), torch.arange(8)
    tied = lambda f: torch.autograd.grad(f(embedding[tokens], embedding, tokens + 1)[0].sum(), embedding)
    torch.testing.assert_close(tied(function), tied(reference))


@both
@trained_or_not
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_casts_as_linear_does(function, reference, trained, dtype):
    problem = make(64, 200, 40, trained=trained, bias=True)
    with torch.autocast("cpu", dtype=dtype):
        value, ours = problem.run(function)[0], gradients(problem, function)
        plain, theirs = problem.run(reference)[0], gradients(problem, reference)
    truth = gradients(problem.to(torch.float64), reference)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, plain, rtol=4 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)
    for gradient, peer, exact in zip(ours, theirs, truth, strict=True):
        assert gradient.dtype == torch.float32
        assert error(gradient, exact) <= 1.5 * error(peer, exact) + 1e-6
    assert dtype == torch.float16 or error(ours[0], truth[0]) > 1e-4  # the products did run in the low dtype


@both
def test_autocast_lets_dtypes_differ(function, reference):
    problem = make(bias=True)
    problem.hidden = problem.hidden.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = gradients(problem, function)
    assert [gradient.dtype for gradient in ours] == [torch.bfloat16, torch.float32, torch.float32]


@both
def test_autocast_leaves_float64_alone(function, reference):
    problem = make(dtype=torch.float64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = problem.run(function)[0]
    torch.testing.assert_close(ours, problem.run(reference)[0], rtol=1e-12, atol=1e-12)


@both
def test_no_grad(function, reference):
    problem = make()
    with torch.no_grad():
        result = problem.run(function)[0]
    assert not result.requires_grad
    torch.testing.assert_close(result, problem.run(function)[0].detach())


@both
@pytest.mark.parametrize("reentrant", [False, True])
def test_inside_gradient_checkpointing(function, reference, reentrant):
    problem = make()
    value = checkpoint(
        lambda hidden: function(hidden, problem.weight, problem.targets)[0], problem.hidden, use_reentrant=reentrant
    )
    value.sum().backward()
    torch.testing.assert_close([problem.hidden.grad, problem.weight.grad], list(gradients(problem, reference)))


@both
def test_inside_torch_compile(function, reference):
    @torch.compile(backend="eager")
    def model(hidden, weight, targets):
        return function(hidden * 2, weight, targets)[0].sum() * 3

    for tokens in (29, 31):  # two lengths, one of which would be another trace
        problem = make(tokens)
        ours = torch.autograd.grad(model(problem.hidden, problem.weight, problem.targets), problem.trained)
        value = reference(problem.hidden * 2, problem.weight, problem.targets)[0].sum() * 3
        torch.testing.assert_close(ours, torch.autograd.grad(value, problem.trained))


@both
def test_second_derivatives_are_refused(function, reference):
    problem = make()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(problem.run(function)[0].sum(), problem.hidden, create_graph=True)


@both
def test_upstream_of_an_unused_result(function, reference):
    problem = make()
    result = problem.run(function)
    (problem.hidden.sum() + 0 * result[0].sum().detach()).backward()
    assert torch.equal(problem.hidden.grad, torch.ones_like(problem.hidden))


@both
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_hidden_states_reach_the_loss(function, reference, value):
    problem = make(ignored=False)
    with torch.no_grad():
        problem.hidden[3, 2] = value
    assert not problem.run(function)[0].sum().isfinite()


@both
def test_extreme_logits_stay_finite(function, reference):
    problem = make()
    with torch.no_grad():
        problem.hidden *= 1e4  # the target's probability underflows
    assert_same(problem, function, reference)
    assert problem.run(function)[0].isfinite().all()
