"""Twenty steps beside TRL's own KTO in float32: same tiny model, data and seed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trainwright.testing import tiny_dataset
from trainwright.testing.bench import Case, one_step

STEPS = {"max_steps": 20, "learning_rate": 2e-4, "max_grad_norm": 1.0, "gradient_checkpointing": False}
WEIGHTS = {"beta": 0.2, "desirable_weight": 1.2, "undesirable_weight": 0.9}
NAMES = {
    "loss", "grad_norm", "kl", "entropy", "num_tokens",
    *(f"{kind}/{which}" for kind in ("rewards", "logps", "logits") for which in ("chosen", "rejected")),
    "rewards/margins",
}  # fmt: skip


def rows(count):
    """Rows with thumbs, no two prompts alike: TRL would mismatch equal ones with their own completions."""
    made = tiny_dataset("unpaired", count)
    for number, row in enumerate(made):
        row["prompt"][0]["content"] += f" ({number})"
    return made


def history(loss, loss_type="kto", **changes):
    case = Case(loss, method="kto", data=rows(64), rows=64, training=STEPS, **changes)
    if loss == "trl":
        return one_step(replace(case, training={**STEPS, **WEIGHTS, "loss_type": loss_type})).history
    return one_step(replace(case, settings={**WEIGHTS, "loss_type": loss_type})).history


def assert_follows(mine, theirs, names=("loss", "grad_norm")):
    assert len(mine) == len(theirs) == 20
    for own, other in zip(mine, theirs, strict=True):
        for name in names:
            assert own[name] == pytest.approx(other[name], rel=1e-5), name


def largest_difference(mine, theirs, name):
    """Relative, over all steps."""
    return max(abs(own[name] / other[name] - 1) for own, other in zip(mine, theirs, strict=True))


@pytest.fixture(scope="module")
def trl_whole():
    return history("trl", per_device=8)


def test_one_batch_a_step(trl_whole):
    mine = history("kto", per_device=8)
    assert_follows(mine, trl_whole)
    assert mine[0].keys() >= NAMES
    for own, other in zip(mine, trl_whole, strict=True):
        for name in NAMES - {"loss", "grad_norm"}:
            assert own[name] == pytest.approx(other[name], rel=1e-3, abs=1e-4), name


def test_accumulation_changes_nothing_here_but_something_there(trl_whole):
    """TRL exchanges completions and takes its reference point within a micro-batch; here both are the window's."""
    mine = history("kto", per_device=2, accumulate=4)
    assert_follows(mine, trl_whole)
    theirs = history("trl", per_device=2, accumulate=4)
    assert largest_difference(theirs, trl_whole, "loss") > 1e-3
    assert largest_difference(theirs, trl_whole, "kl") > 0.1


@pytest.mark.parametrize(("per_device", "accumulate"), [(8, 1), (4, 2)])
def test_apo_zero_unpaired_which_needs_no_reference_point(per_device, accumulate):
    cut = {"per_device": per_device, "accumulate": accumulate}
    assert_follows(history("kto", "apo_zero_unpaired", **cut), history("trl", "apo_zero_unpaired", **cut))
