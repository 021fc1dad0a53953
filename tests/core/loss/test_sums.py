"""Metrics as (sum, count) on the device."""

import torch

from trainwright.loss.sums import Sums


def test_means_are_weighted_by_their_counts():
    sums = Sums()
    sums.add("a", torch.tensor([1.0, 2.0, 6.0]))
    sums.add("a", torch.tensor([3.0]))
    sums.add("b", torch.tensor(10.0), torch.tensor(4))
    sums.add("empty", torch.zeros(0))
    assert sums.reduce() == {"a": (12.0, 4.0), "b": (10.0, 4.0), "empty": (0.0, 0.0)}
    assert sums.reduce() == {}


def test_state_survives_a_checkpoint_exactly():
    sums, other = Sums(), Sums()
    sums.add("a", torch.tensor([1 / 3, 1e-9]))
    other.load_state_dict(sums.state_dict())
    other.add("a", torch.tensor([0.1]))
    sums.add("a", torch.tensor([0.1]))
    assert other.reduce() == sums.reduce()


def test_no_gradient_is_kept():
    sums = Sums()
    sums.add("a", torch.ones(3, requires_grad=True) * 2)
    assert all(not pair.requires_grad for _, pair in sums.state_dict().values())
