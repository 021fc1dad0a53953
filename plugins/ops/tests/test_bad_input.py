from __future__ import annotations

import pytest
import torch
from ops_problems import make

from trainwright_ops import linear_logps, linear_nll, operands

both = pytest.mark.parametrize("function", [linear_nll, linear_logps])


@both
@pytest.mark.parametrize("value", [61, -1, -100, 10**9])
def test_target_out_of_range(function, value):
    problem = make(ignored=False)
    problem.targets[7] = problem.targets[9] = value
    text = rf"target {value} at position 7 is outside the vocabulary \[0, 61\).*ignore_index=None \(2 of 29"
    with pytest.raises(IndexError, match=text):
        problem.run(function, ignore_index=None)


@both
def test_target_out_of_range_beside_ignored_ones(function):
    problem = make()
    problem.targets[7] = 61
    with pytest.raises(IndexError, match="target 61 at position 7"):
        problem.run(function)


@both
@pytest.mark.parametrize("trained", [False, True])
def test_target_out_of_range_on_a_device_makes_nan(function, trained, monkeypatch):
    problem = make(ignored=False, trained=trained)
    problem.targets[7] = 61
    monkeypatch.setattr(operands, "on_host", lambda tensor: False)
    value = problem.run(function, ignore_index=None)[0]
    (gradient,) = torch.autograd.grad(value.sum(), problem.hidden)
    assert value.isnan().sum() == 1
    assert gradient[7].isnan().all()
    if function is linear_logps:
        others = torch.arange(29) != 7
        expected = function(problem.hidden[others], problem.weight, problem.targets[others])[0]
        torch.testing.assert_close(value[others], expected)


@both
@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (
            {"hidden": torch.ones(29, 17, dtype=torch.int64)},
            TypeError,
            r"hidden must be floating-point, got torch.int64",
        ),
        ({"hidden": torch.ones(29, 16)}, ValueError, r"hidden \(29, 16\), weight \(61, 17\), targets \(29,\)"),
        ({"hidden": torch.tensor(1.0)}, ValueError, r"hidden \(\)"),
        ({"weight": torch.ones(61)}, ValueError, r"weight must be \(V, H\)"),
        ({"weight": torch.ones(0, 17)}, ValueError, r"V > 0: hidden \(29, 17\), weight \(0, 17\)"),
        ({"weight": torch.ones(61, 17).double()}, TypeError, "hidden torch.float32, weight torch.float64"),
        ({"targets": torch.ones(28, dtype=torch.int64)}, ValueError, r"targets \(28,\)"),
        ({"targets": torch.ones(29)}, TypeError, "targets must be integers, got torch.float32"),
        ({"targets": torch.ones(29, dtype=torch.bool)}, TypeError, "targets must be integers, got torch.bool"),
        ({"bias": torch.ones(60)}, ValueError, r"bias must be \(V,\) = \(61,\): .*bias \(60,\)"),
        ({"bias": torch.ones(61).half()}, TypeError, "bias torch.float16.*torch.autocast"),
        ({"weight": torch.ones(61, 17, device="meta")}, ValueError, "hidden cpu, weight meta, targets cpu"),
    ],
)
def test_operands_that_do_not_fit(function, change, kind, text):
    problem = make()
    for name, tensor in change.items():
        setattr(problem, name, tensor)
    with pytest.raises(kind, match=text):
        problem.run(function)


@both
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"softcap": 0.0}, "softcap must be positive"),
        ({"softcap": -30.0}, "softcap must be positive"),
        ({"temperature": 0.0}, "temperature must be positive and finite, got 0.0"),
        ({"scale": float("inf")}, "scale must be finite, got inf"),
        ({"scale": float("nan"), "temperature": -1.0}, "scale must be finite, got nan; temperature must be"),
        ({"chunk_size": 0}, "chunk_size must be a positive number of tokens, or None, got 0"),
    ],
)
def test_options_that_make_no_sense(function, options, text):
    with pytest.raises(ValueError, match=text):
        make().run(function, **options)
