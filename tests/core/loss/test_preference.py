"""What preference losses log: rewards by the loss, everything about the policy's pass by core."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from trainwright.errors import RunError
from trainwright.loss.preference import Sequences, log_rewards
from trainwright.loss.sums import Sums, means
from trainwright.testing.bench import Case, one_step
from trainwright.testing.given import given_logps


def nll(ctx):
    return ctx.loss(-ctx.policy.token_logps().logps, per="token")


def rewarded(ctx):
    ctx.log_rewards(ctx.policy.sequence_logps())
    return nll(ctx)


def test_pairs_lie_in_halves():
    values = torch.tensor([1.0, 2.0, 5.0, 3.0]).as_subclass(Sequences)
    assert values.chosen.tolist() == [1.0, 2.0]
    assert values.rejected.tolist() == [5.0, 3.0]
    assert (2 * values).chosen_minus_rejected().tolist() == [-8.0, -2.0]
    assert type(values.chosen_minus_rejected()) is torch.Tensor
    assert torch.zeros(0).as_subclass(Sequences).chosen_minus_rejected().tolist() == []
    with pytest.raises(RunError, match="holds no pairs"):
        torch.zeros(3).as_subclass(Sequences).chosen_minus_rejected()


def test_rewards_of_pairs():
    sums = Sums()
    chosen = torch.tensor([True, True, False, False])
    log_rewards(torch.tensor([3.0, 1.0, 2.0, 1.0]), chosen, sums.add, pairs=True)
    expected = {"rewards/chosen": 2.0, "rewards/rejected": 1.5, "rewards/margins": 0.5, "rewards/accuracies": 0.5}
    assert means(sums.reduce()) == expected


def test_rewards_of_thumbs_are_means_of_each_class_over_all_batches():
    """The margin is a difference of two means, also where a batch holds one class only."""
    sums = Sums()
    log_rewards(torch.tensor([3.0, 1.0, float("inf")]), torch.tensor([True, True, False]), Sums().add, pairs=False)
    log_rewards(torch.tensor([3.0, 1.0]), torch.tensor([True, True]), sums.add, pairs=False)
    log_rewards(torch.tensor([5.0, 1.0, 0.0]), torch.tensor([True, False, False]), sums.add, pairs=False)
    assert means(sums.reduce()) == {"rewards/chosen": 3.0, "rewards/rejected": 0.5, "rewards/margins": 2.5}


def test_an_infinite_reward_stays_in_its_class():
    sums = Sums()
    log_rewards(torch.tensor([float("-inf"), 1.0]), torch.tensor([False, True]), sums.add, pairs=False)
    assert means(sums.reduce())["rewards/chosen"] == 1.0


@pytest.mark.parametrize("per_device", [8, 3])
def test_core_logs_the_policys_pass_under_trls_names(per_device):
    """On one batch with TRL's values; over a window as means over tokens or answers, however it is cut."""
    accumulate = -(-8 // per_device)
    mine = one_step(Case(nll, method="dpo", per_device=per_device, accumulate=accumulate)).history[0]
    theirs = one_step(Case("trl", method="dpo")).history[0]
    for name in ("logps/chosen", "logps/rejected", "logits/chosen", "logits/rejected", "entropy", "num_tokens"):
        assert mine[name] == pytest.approx(theirs[name], rel=1e-5), name
    assert mine["mean_token_accuracy"] == pytest.approx(theirs["mean_token_accuracy"])
    assert not any(name.startswith("rewards/") for name in mine)


def test_thumbs_are_told_apart_by_their_labels():
    logged = one_step(Case(rewarded, method="kto")).history[0]
    assert logged["rewards/chosen"] == pytest.approx(logged["logps/chosen"])
    assert logged["rewards/rejected"] == pytest.approx(logged["logps/rejected"])
    assert logged["rewards/margins"] == pytest.approx(logged["logps/chosen"] - logged["logps/rejected"])
    assert {"entropy", "logits/chosen", "logits/rejected", "mean_token_accuracy"} <= logged.keys()
    assert "rewards/accuracies" not in logged


def test_other_methods_log_none_of_it_and_have_no_rewards():
    assert not {"entropy", "logps/chosen"} & one_step(Case(nll)).history[0].keys()
    with pytest.raises(RunError, match="the method sft has no preferences"):
        one_step(Case(rewarded))


def test_statistics_that_a_loss_asks_for_too_cost_no_second_pass():
    seen = []

    def asks(ctx):
        seen.append(ctx.policy.sequence_logps())
        entropy = ctx.policy.token_logps(statistics=("entropy",))
        assert entropy is ctx.policy.token_logps()
        wider = ctx.policy.token_logps(statistics=("log_sum_sq",))  # which core does not ask for
        assert {"entropy", "log_sum_sq"} <= wider.statistics.keys()
        return nll(ctx)

    one_step(replace(Case(asks, method="dpo")))
    assert len(seen) == 1


def test_weights_leave_the_length_as_it_is():
    context = given_logps([torch.tensor([-1.0, -3.0]), torch.tensor([-2.0])])
    weights = torch.tensor([1.0, 0.5, 0.0])
    assert context.policy.sequence_logps(weights=weights).tolist() == [-2.5, 0.0]
    assert context.policy.sequence_logps(average=True, weights=weights).tolist() == [-1.25, 0.0]
