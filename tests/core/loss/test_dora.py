"""Row norms of a merged matrix that is never built, and a scaled copy of a weight with the gradient of its factor."""

from __future__ import annotations

import pytest
import torch
from head_problems import MadeTensors

from trainwright.loss.blocks import row_blocks
from trainwright.loss.dora import row_norms, scaled_rows
from trainwright.loss.quantized import DequantizedRows

HEIGHT, WIDTH, RANK = 37, 24, 3


@pytest.fixture(params=[1, 7, 37, 1000], ids="blocks-of-{}".format)
def block(request, monkeypatch):
    """Rows that are worked on at once; 37 are all of them."""
    monkeypatch.setattr("trainwright.loss.blocks.BLOCK_BYTES", 3 * WIDTH * 8 * request.param)
    return request.param


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def operands(dtype=torch.float64):
    shapes = ((HEIGHT, WIDTH), (RANK, WIDTH), (HEIGHT, RANK))
    return [draw(*shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]


class Rows(DequantizedRows):
    """A matrix behind the face of a quantised weight."""

    def __init__(self, matrix):
        super().__init__(matrix, matrix.dtype)

    def rows(self, start, stop):
        return self._stored[start:stop].clone()


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_blocks_cover_all_rows_once(rows, monkeypatch):
    monkeypatch.setattr("trainwright.loss.blocks.BLOCK_BYTES", 3 * WIDTH * 4 * rows)
    blocks = list(row_blocks(torch.Size((HEIGHT, WIDTH)), torch.float32))
    assert [row for start, stop in blocks for row in range(start, stop)] == list(range(HEIGHT))
    assert max(stop - start for start, stop in blocks) == min(rows, HEIGHT)


@pytest.mark.parametrize("kind", [lambda weight: weight, Rows], ids=["matrix", "rows"])
def test_norms_are_those_of_the_merged_matrix(kind, block):
    weight, down, up = operands()
    norms = row_norms(kind(weight), down.requires_grad_(), up.requires_grad_(), 0.75)
    torch.testing.assert_close(norms, (weight + 0.75 * up @ down).norm(dim=1), rtol=1e-13, atol=0)
    assert not norms.requires_grad


@pytest.mark.parametrize("autocast", [False, True], ids=["", "autocast"])
def test_norms_of_a_bf16_weight_are_rounded_to_float32_only(autocast):
    weight, down, up = operands(torch.bfloat16)
    exact = (weight.double() + 0.75 * up.double() @ down.double()).norm(dim=1)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        norms = row_norms(weight, down, up, 0.75)
    assert norms.dtype == torch.float32
    torch.testing.assert_close(norms.double(), exact, rtol=1e-6, atol=0)


def test_norms_are_worked_out_in_little_memory(monkeypatch):
    monkeypatch.setattr("trainwright.loss.blocks.BLOCK_BYTES", 3 * WIDTH * 4 * 5)
    weight, down, up = operands(torch.bfloat16)
    with MadeTensors() as made:
        row_norms(weight, down, up, 0.75)
    assert max(made.sizes) == max(5 * WIDTH, HEIGHT * RANK)


@pytest.mark.parametrize("beside", [False, True], ids=["", "beside"])
@pytest.mark.parametrize("kind", [lambda weight: weight, Rows], ids=["matrix", "rows"])
def test_scaled_rows(kind, beside, block):
    weight, factor = draw(HEIGHT, WIDTH), draw(HEIGHT, 1, seed=1).requires_grad_()
    other = draw(HEIGHT, RANK, seed=2).requires_grad_() if beside else None
    expected = factor * weight if other is None else torch.cat([factor * weight, other], dim=1)
    assert torch.equal(scaled_rows(kind(weight), factor, other), expected)
    given = [factor] if other is None else [factor, other]
    assert torch.autograd.gradcheck(lambda *trained: scaled_rows(kind(weight), *trained), given)


def test_a_weight_that_is_trained_has_its_gradient():
    weight, factor = draw(HEIGHT, WIDTH).requires_grad_(), draw(HEIGHT, 1, seed=1)
    assert torch.autograd.gradcheck(lambda trained: scaled_rows(trained, factor), [weight])


def test_scaled_rows_of_bf16_are_rounded_once():
    weight, factor = draw(HEIGHT, WIDTH, dtype=torch.bfloat16), draw(HEIGHT, 1, dtype=torch.float32).requires_grad_()
    scaled = scaled_rows(weight, factor)
    assert torch.equal(scaled, (factor * weight.float()).to(torch.bfloat16))
    upstream = draw(HEIGHT, WIDTH, seed=3, dtype=torch.bfloat16)
    scaled.backward(upstream)
    exact = (upstream.double() * weight.double()).sum(1, keepdim=True)
    torch.testing.assert_close(factor.grad.double(), exact, rtol=1e-5, atol=1e-5)
