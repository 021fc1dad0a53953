"""Batches of like lengths within a budget, shared among ranks."""

from __future__ import annotations

import numpy as np
import pytest

from trainwright.reference.batches import TOKENS, plan_batches, share, token_budget

LENGTHS = np.array([3, 9, 4, 1, 9, 2, 30, 4])


def test_each_row_once_longest_first_and_within_the_budget() -> None:
    batches = plan_batches(LENGTHS, np.arange(8), budget=18)
    assert sorted(np.concatenate(batches).tolist()) == list(range(8))
    longest = [int(LENGTHS[batch].max()) for batch in batches]
    assert longest == sorted(longest, reverse=True)
    assert batches[0].tolist() == [6]  # longer than the budget: alone
    assert all(len(batch) * LENGTHS[batch].max() <= 18 for batch in batches[1:])
    assert batches[1].tolist() == [1, 4]


def test_only_what_is_missing() -> None:
    assert np.concatenate(plan_batches(LENGTHS, np.array([0, 5]), 100)).tolist() == [0, 5]
    assert plan_batches(LENGTHS, np.array([], dtype=int), 100) == []


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_ranks_run_equally_often_and_keep_each_batch_once(ranks: int) -> None:
    batches = plan_batches(LENGTHS, np.arange(8), budget=9)
    shares = [share(batches, rank, ranks) for rank in range(ranks)]
    assert len({len(own) for own, _ in shares}) == 1
    kept = [row for own, counted in shares for batch in own[:counted] for row in batch.tolist()]
    assert sorted(kept) == list(range(8))


def test_no_batch_is_shared_as_none() -> None:
    assert share([], 1, 2) == ([], 0)


def test_a_setting_decides_else_training_does() -> None:
    assert token_budget(1000, asked=3, trained=64) == 3000
    assert token_budget(1000, asked=None, trained=64) == 64_000
    assert token_budget(10, asked=None, trained=1) == TOKENS
