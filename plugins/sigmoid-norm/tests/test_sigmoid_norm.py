"""The plugin on log-probabilities that are given; on real trainers it is tested by `test_contract.py`."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

import trainwright_sigmoid_norm as plugin
from trainwright.loss.sums import Sums, means
from trainwright.testing.given import given_logps, mean_over_units


def pair(**settings):
    """One pair: a chosen answer of three tokens, a rejected one of two, and the metrics' sums."""
    sums = Sums()
    policy = [torch.tensor([-1.0, -2.0, -6.0]).double(), torch.tensor([-3.0, -1.0]).double()]
    reference = [torch.tensor([-2.0, -2.0, -2.0]).double(), torch.tensor([-1.0, -2.0]).double()]
    return given_logps(policy, reference, settings=plugin.Settings(**settings), sums=sums), sums


@pytest.mark.parametrize(
    ("settings", "chosen", "rejected"),
    [
        ({"beta": 1.0}, -3 / 3, -1 / 2),
        ({"beta": 6.0}, -6.0, -3.0),
        ({"beta": 1.0, "ld_alpha": 0.0}, 1 / 3, -1 / 2),  # the third token counts nothing, and the length stays 3
        ({"beta": 1.0, "ld_alpha": 0.5}, -1 / 3, -1 / 2),
    ],
)
def test_rewards_by_hand(settings, chosen, rejected):
    context, sums = pair(**settings)
    value = mean_over_units(context, plugin.compute_loss(context))
    logged = means(sums.reduce())
    assert logged["rewards/chosen"] == pytest.approx(chosen, rel=1e-12)
    assert logged["rewards/rejected"] == pytest.approx(rejected, rel=1e-12)
    assert logged["rewards/margins"] == pytest.approx(chosen - rejected, rel=1e-12)
    assert logged["rewards/accuracies"] == float(chosen > rejected)
    assert value.item() == pytest.approx(torch.tensor(rejected - chosen).double().exp().log1p().item(), rel=1e-6)


def test_weights_begin_at_the_length_of_the_shorter_answer():
    context, _ = pair()
    assert plugin.length_weights(context, 0.25).tolist() == [1.0, 1.0, 0.25, 1.0, 1.0]
    longer = given_logps([torch.zeros(n) for n in (1, 3, 0, 2, 3, 4)])  # 1 against 2, 3 against 3, 0 against 4
    expected = [1.0, *[1.0] * 3, 1.0, 0.5, *[1.0] * 3, *[0.5] * 4]
    assert plugin.length_weights(longer, 0.5).tolist() == expected


def test_a_confident_pair_neither_overflows_nor_vanishes():
    policy = [torch.full((4,), -1e4, requires_grad=True), torch.full((4,), -1.0)]
    context = given_logps(policy, [torch.zeros(4)] * 2, settings=plugin.Settings(label_smoothing=0.1))
    value = mean_over_units(context, plugin.compute_loss(context))
    (gradient,) = torch.autograd.grad(value, policy[0])
    assert value.item() == pytest.approx(0.9 * 5.0 * (1e4 - 1.0), rel=1e-6)
    assert gradient.tolist() == pytest.approx([-0.9 * 5.0 / 4] * 4)


@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 0.0},
        {"beta": float("nan")},
        {"beta": float("inf")},
        {"label_smoothing": 0.5},
        {"label_smoothing": -0.1},
        {"ld_alpha": 1.1},
        {"ld_alpha": -0.1},
        {"betas": 1.0},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ValidationError):
        plugin.Settings(**settings)


def test_importing_it_does_not_import_torch():
    code = "import sys, trainwright_sigmoid_norm as p; p.Settings(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
