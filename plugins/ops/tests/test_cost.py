"""What the functions never do: hold all logits, copy to the host, multiply more often than they must."""

from __future__ import annotations

import pytest
import torch
from ops_problems import Record, make

from trainwright_ops import linear_logps, linear_nll, linear_nll_reference
from trainwright_ops.results import STATISTICS
from trainwright_ops.tiles import default_chunk_size, even_slices

SYNCHRONISING = {"_local_scalar_dense", "nonzero", "masked_select", "item", "equal"}


def record(function, **options) -> Record:
    """What forward and backward of 1000 tokens do; H = 8, V = 501."""
    problem = make(1000, 501, 8, **{name: options.pop(name) for name in ("trained", "dtype") if name in options})
    with Record() as seen:
        values = problem.run(function, **options)
        values[0].sum().backward()
    return seen


CASES = [
    (linear_nll, {"statistics": True}),
    (linear_nll, {"statistics": True, "dft": True, "softcap": 5.0}),
    (linear_logps, {"statistics": STATISTICS, "softcap": 5.0}),
]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("function", "options"), CASES)
def test_the_largest_tensor_is_one_tile(function, options, trained, dtype):
    seen = record(function, chunk_size=16, trained=trained, dtype=dtype, **options)
    assert seen.largest <= max(16 * 501, 1000 * 8)


def test_the_reference_is_what_this_avoids():
    assert record(linear_nll_reference).largest >= 1000 * 501


@pytest.mark.parametrize(
    ("function", "trained", "products"),
    [(linear_nll, False, 2), (linear_nll, True, 3), (linear_logps, False, 2), (linear_logps, True, 4)],
)
def test_number_of_products(function, trained, products):
    assert record(function, trained=trained, chunk_size=1000, statistics=()).products == products


@pytest.mark.parametrize("function", [linear_nll, linear_logps])
def test_one_product_without_gradient(function):
    problem = make(trained=True, ignored=False)
    with torch.no_grad(), Record() as seen:
        problem.run(function, chunk_size=1000)
    assert seen.products == 1


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(("function", "options"), CASES)
def test_nothing_synchronises_without_ignore_index(function, options, trained):
    problem = make(ignored=False, trained=trained, bias=True)
    with Record() as seen:
        problem.run(function, ignore_index=None, chunk_size=8, **options)[0].sum().backward()
    assert not SYNCHRONISING & set(seen.operators)


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(("function", "options"), CASES)
def test_the_path_of_a_device_reads_no_value(function, options, trained):
    """Meta tensors have no values: every operator that needs one raises."""
    hidden = torch.empty(40, 8, device="meta", dtype=torch.bfloat16, requires_grad=True)
    weight = torch.empty(501, 8, device="meta", dtype=torch.bfloat16, requires_grad=trained)
    targets = torch.empty(40, device="meta", dtype=torch.int64)
    function(hidden, weight, targets, ignore_index=None, chunk_size=16, **options)[0].sum().backward()
    assert hidden.grad.shape == hidden.shape


def test_slices_are_even_and_whole():
    assert [piece.stop - piece.start for piece in even_slices(1030, 1024)] == [515, 515]
    assert [(piece.start, piece.stop) for piece in even_slices(7, 3)] == [(0, 2), (2, 4), (4, 7)]
    assert list(even_slices(0, 5)) == []


def test_default_chunk_size_shrinks_with_the_vocabulary():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert default_chunk_size(49152, cpu) * 49152 * 4 <= 64 << 20
    assert default_chunk_size(151936, cuda) * 151936 * 4 <= 1 << 30
    assert default_chunk_size(10**9, cpu) == 16
