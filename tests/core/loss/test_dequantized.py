"""Weights of tensor classes with a `dequantize` of their own, as torchao has them; no such library is needed here."""

from __future__ import annotations

import pytest
import torch
from head_problems import assert_projects, hidden_states
from torch import nn

from trainwright.errors import ModelError
from trainwright.loss.adapters import project


class Halved(torch.Tensor):
    """A matrix that is stored as its half, and can be cut and dequantised, but not indexed or multiplied."""

    @staticmethod
    def __new__(cls, half, requires_grad=False):
        return torch.Tensor._make_wrapper_subclass(cls, half.shape, dtype=half.dtype, requires_grad=requires_grad)

    def __init__(self, half, requires_grad=False):
        self.half_of_it = half

    def dequantize(self):
        return self.half_of_it * 2

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten.slice.Tensor, torch.ops.aten.detach.default):
            return cls(func(args[0].half_of_it, *args[1:], **(kwargs or {})))
        raise NotImplementedError(func)


class HalvedLinear(nn.Module):
    def __init__(self, requires_grad=False):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(Halved(torch.randn(37, 24, dtype=torch.float64)), requires_grad=requires_grad)

    def forward(self, hidden):
        return hidden @ self.weight.dequantize().T


@pytest.mark.parametrize("tokens", [1, 7, 33])
def test_the_head_is_its_rows(tokens):
    assert_projects(HalvedLinear(), hidden_states(tokens))


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_rows_are_gathered_from_blocks(rows, monkeypatch):
    monkeypatch.setattr("trainwright.loss.blocks.BLOCK_BYTES", 3 * 24 * 8 * rows)
    head = HalvedLinear()
    index = torch.tensor([36, 0, 5, 5, 4])
    made = project(head, hidden_states(3)).weight
    assert torch.equal(made.gather(index), head.weight.dequantize()[index])
    assert made.gather(index[:0]).shape == (0, 24)
    assert made.rows(3, 9).shape == (6, 24)


def test_a_quantised_weight_that_is_trained_is_refused():
    with pytest.raises(ModelError, match="is quantised, but its weight requires a gradient"):
        project(HalvedLinear(requires_grad=True), hidden_states(3))
