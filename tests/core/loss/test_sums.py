"""Metrics as (sum, count) on the device."""

import torch

from trainwright.loss.sums import Sums, means


def test_means_are_weighted_by_their_counts():
    sums = Sums()
    sums.add("a", torch.tensor([1.0, 2.0, 6.0]))
    sums.add("a", torch.tensor([3.0]))
    sums.add("b", torch.tensor(10.0), torch.tensor(4))
    sums.add("empty", torch.zeros(0))
    assert sums.reduce() == {"a": (12.0, 4.0), "b": (10.0, 4.0), "empty": (0.0, 0.0)}
    assert sums.reduce() == {}


def test_the_parts_of_a_name_are_means_of_their_own_that_are_added():
    sums = Sums()
    sums.add("loss", torch.tensor(6.0), 3, "pair")
    sums.add("loss", torch.tensor(10.0), 4, "token")
    sums.add("loss", torch.tensor(2.0), 1, "pair")
    assert means(sums.reduce()) == {"loss": 8 / 4 + 10 / 4}


def test_a_mean_of_nothing_is_no_number_but_a_loss_of_nothing_is_zero():
    sums = Sums()
    sums.add("never", torch.tensor(0.0), 0)
    sums.add("margin", torch.tensor(3.0), 2, "chosen")
    sums.add("margin", torch.tensor(0.0), 0, "rejected")
    sums.add("loss", torch.tensor(0.0), 0)
    assert means(sums.reduce()) == {"loss": 0.0}


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
