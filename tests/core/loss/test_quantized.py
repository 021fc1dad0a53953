"""Quantised weights: rows by the definition of their format, and what is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from head_problems import MadeTensors, assert_projects, hidden_states
from quantized_heads import HEADS, KINDS, ON_GPU, bnb, eight_bit, four_bit, whole

from trainwright.errors import ModelError
from trainwright.loss.adapters import project
from trainwright.loss.quantized import quantized_rows
from trainwright_ops import WeightRows

# Widths that quantisation blocks (64 values) divide, that divide them, and neither; a last block that is not full. With
# double quantisation 256 blocks share a scale's scale: 300 rows of 64 are two such groups.
SHAPES = [(64, 300), (128, 40), (32, 50), (24, 37), (40, 33), (96, 21), (576, 17), (2, 6)]


@KINDS
@pytest.mark.parametrize(("width", "vocabulary"), SHAPES)
def test_rows_are_those_of_the_whole(kind, width, vocabulary):
    head = HEADS[kind](width, vocabulary)
    expected, made = whole(head), quantized_rows(head, torch.float32)
    assert isinstance(made, WeightRows)
    assert (made.shape, made.dtype, made.device.type) == ((vocabulary, width), torch.float32, "cpu")
    ranges = [(0, vocabulary), (0, 1), (1, 2), (3, 5), (vocabulary // 2, vocabulary), (vocabulary - 1, vocabulary)]
    for start, stop in [*ranges, (2, 2)]:
        torch.testing.assert_close(made.rows(start, stop).double(), expected[start:stop], rtol=1e-6, atol=0)
    index = torch.tensor([vocabulary - 1, 0, 3, 3, vocabulary // 2])
    torch.testing.assert_close(made.gather(index).double(), expected[index], rtol=1e-6, atol=0)
    assert made.gather(index[:0]).shape == (0, width)


@pytest.mark.parametrize(("width", "vocabulary"), [(13, 5), (7, 3), (65, 9), (1, 1)])
def test_odd_numbers_of_values(width, vocabulary):
    head = four_bit(width, vocabulary, quant_type="nf4")
    made, expected = quantized_rows(head, torch.float32), whole(head)
    for row in range(vocabulary):
        torch.testing.assert_close(made.rows(row, row + 1).double(), expected[row : row + 1], rtol=1e-6, atol=0)
    every = torch.arange(vocabulary)
    torch.testing.assert_close(made.gather(every).double(), expected, rtol=1e-6, atol=0)


@KINDS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("width", [64, 24])
def test_rows_have_the_dtype_of_the_product(kind, dtype, width):
    head = HEADS[kind](width, 37)
    made = quantized_rows(head, dtype)
    assert made.dtype == made.rows(1, 3).dtype == made.gather(torch.tensor([2])).dtype == dtype
    exact = whole(head)
    rounding = max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)
    torch.testing.assert_close(made.rows(0, 37).double(), exact, rtol=rounding, atol=2 * torch.finfo(dtype).tiny)
    assert torch.equal(made.gather(torch.arange(37)), made.rows(0, 37))


def test_the_compute_dtype_of_a_4_bit_head_is_kept():
    product = project(four_bit(64, 37, compute_dtype=torch.bfloat16, bias=True), hidden_states(7, 64, torch.float32))
    assert product.hidden.dtype == product.weight.dtype == product.bias.dtype == torch.bfloat16


@KINDS
def test_the_matrix_is_never_made(kind):
    head, hidden = HEADS[kind](64, 512), hidden_states(7, 64, torch.float32)
    with MadeTensors() as made:
        product = project(head, hidden)
        product.weight.rows(100, 200)
        product.weight.gather(torch.arange(50))
    assert 100 * 64 in made.sizes
    assert made.at_least(512 * 64) == 0


@KINDS
def test_after_the_head_itself_has_run(kind):
    head = HEADS[kind](64, 37)
    before = quantized_rows(head, torch.float32).rows(0, 37)
    head(hidden_states(3, 64, torch.float32))  # moves the scales of an 8-bit weight
    assert torch.equal(quantized_rows(head, torch.float32).rows(0, 37), before)


# ── on a GPU, whose kernels are others ───────────────────────────────────────────────────────────────────────────────

WIDTHS = {"aligned": (2048, 300), "unaligned": (2056, 301)}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("shape", WIDTHS)
@KINDS
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=ON_GPU)])
def test_rows_on_a_gpu(kind, shape, dtype, device):
    width, vocabulary = WIDTHS[shape]
    head = HEADS[kind](width, vocabulary).to(device)
    made, expected = quantized_rows(head, dtype), whole(head)
    index = torch.tensor([vocabulary - 1, 0, 3, 3], device=device)
    for start, stop in [(0, vocabulary), (1, 2), (77, 205)]:
        torch.testing.assert_close(
            made.rows(start, stop).double(), expected[start:stop], rtol=torch.finfo(dtype).eps, atol=0
        )
    assert torch.equal(made.gather(index), made.rows(0, vocabulary)[index])


# ── planted faults ───────────────────────────────────────────────────────────────────────────────────────────────────

FAULTS = {
    "halves": lambda made: _repacked(made, lambda packed: packed >> 4 | packed << 4),
    "scales": lambda made: setattr(made._state, "absmax", made._state.absmax.roll(1)),
    "type": lambda made: setattr(made._state, "quant_type", "fp4"),
}


def _repacked(made, change) -> None:
    made._bytes = change(made._bytes)


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_found(fault):
    head, hidden = four_bit(64, 37, quant_type="nf4"), hidden_states(7, 64, torch.float32)

    def change(product):
        made = copy.deepcopy(product.weight)
        FAULTS[fault](made)
        return product._replace(weight=made)

    assert_projects(head, hidden, rounding=1e-5)
    with pytest.raises(AssertionError):
        assert_projects(head, hidden, change, 1e-5)


# ── what is refused, and other libraries' weights ────────────────────────────────────────────────────────────────────


def test_a_head_laid_out_for_inference_on_a_cpu_is_refused():
    head = four_bit(64, 64)
    head.weight.quant_state.packing_format_for_cpu = True
    with pytest.raises(ModelError, match="laid the 4-bit LM head out anew"):
        project(head, hidden_states(3, 64))


def test_8_bit_codes_without_scales_are_refused():
    head = eight_bit(64, 37)
    head.weight.SCB = None
    with pytest.raises(ModelError, match="no scales"):
        project(head, hidden_states(3, 64))


@pytest.mark.parametrize("kind", ["Linear4bit", "Linear8bitLt"])
def test_a_head_that_is_not_quantised_yet_is_a_matrix(kind):
    head = getattr(bnb.nn, kind)(24, 37)
    assert quantized_rows(head, torch.float32) is None
    assert project(head, hidden_states(3, 24, torch.float32)).weight.shape == (37, 24)
