"""Both engines against float64: torch operators, and the Triton kernels (interpreted where there is no GPU)."""

from __future__ import annotations

import pytest
import torch
from ops_problems import TRANSFORMS, Problem, Record, assert_as_exact_as, make
from torch import Tensor

from trainwright_ops import host, linear_logps, linear_logps_reference, linear_nll, linear_nll_reference, logps, nll
from trainwright_ops.results import STATISTICS

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
# The interpreter cuts what it rounds to bf16, where a GPU rounds to the nearest.
DTYPES = [torch.float32, torch.bfloat16] if CUDA else [torch.float32]
memory_modes = pytest.mark.parametrize("memory", ["default", "lowest"])


@pytest.fixture(params=["host", "kernels"], autouse=True)
def engine(request, monkeypatch):
    """Run every test of this file on one engine, whatever the device would choose."""
    if request.param == "kernels":
        pytest.importorskip("triton")
        from trainwright_ops import gpu
    chosen = host if request.param == "host" else gpu
    for module in (nll, logps):
        monkeypatch.setattr(module, "engine", lambda head, plan: chosen)
    return request.param


def everything(problem: Problem, function, **options) -> list[Tensor]:
    """Values, statistics, and gradients under an upstream value that no dtype holds exactly."""
    statistics = True if function in (linear_nll, linear_nll_reference) else STATISTICS
    result = problem.run(function, statistics=statistics, **options)
    upstream = torch.linspace(-2.1, 1.7, result[0].numel(), device=DEVICE) if result[0].ndim else torch.tensor(0.37)
    gradients = torch.autograd.grad(result[0], problem.trained, upstream.to(result[0]))
    values = [value.detach() for value in result if value is not None and value.dtype != torch.bool]
    return [*values, *gradients]


def assert_exact(problem: Problem, **options) -> None:
    problem = problem.to(DEVICE)
    for function, reference in ((linear_nll, linear_nll_reference), (linear_logps, linear_logps_reference)):
        if function is linear_logps:
            options.pop("dft", None)
        ours, plain = (everything(problem, f, **options) for f in (function, reference))
        exact = everything(problem.to(torch.float64), reference, **options)
        rounds_twice = options.get("memory") == "lowest" and problem.hidden.dtype == torch.bfloat16
        if rounds_twice:  # hidden's gradient is stored in its own dtype before it is scaled
            values = len(ours) - len(problem.trained)
            ours, plain, exact = ([v for i, v in enumerate(x) if i != values] for x in (ours, plain, exact))
        assert_as_exact_as(ours, plain, exact, problem.hidden.dtype)


@memory_modes
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_transforms(dtype, transform, bias, trained, memory):
    tokens = 11 if dtype == torch.float32 else 200  # too few, and errors of roundings compare by luck
    problem = make(tokens, 61, 17, dtype=dtype, bias=bias, trained=trained)
    assert_exact(problem, chunk_size=-(-tokens * 8 // 11), memory=memory, **transform)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("tokens", "vocabulary", "width"), [(1, 1, 1), (7, 2, 300), (5, 2501, 24)])
@pytest.mark.parametrize("chunk_size", [None, 1, 3])
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_shapes_and_chunks(dtype, tokens, vocabulary, width, chunk_size, trained):
    """(5, 2501, 24) with a chunk of one token is cut in the vocabulary and in the tokens."""
    problem = make(tokens, vocabulary, width, dtype=dtype, trained=trained, ignored=tokens > 1)
    assert_exact(problem, chunk_size=chunk_size)


@memory_modes
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_low_rank(dtype, trained, chunk_size, memory):
    tokens = 9 if dtype == torch.float32 else 200  # too few, and errors of roundings compare by luck
    problem = make(tokens, 1500, 16, dtype=dtype, trained=trained, rank=3, bias=True)
    assert_exact(problem, chunk_size=chunk_size, memory=memory)


@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_dft(trained):
    assert_exact(make(9, 200, 16, trained=trained), dft=True, softcap=8.0)


@memory_modes
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
@pytest.mark.parametrize("chunk_size", [None, 1])
def test_logits_that_rise_by_thousands(trained, memory, chunk_size):
    """Sums of exponentials are scaled down, more than once, and what was written before them too."""
    problem = make(3, 9000, 8, trained=trained, ignored=False)
    with torch.no_grad():
        problem.hidden.copy_(torch.tensor([[1.0] * 8, [-1.0] * 8, [0.5] * 8]))
        problem.weight.mul_(0.1)
        for column, height in ((1500, 12.5), (4200, 30.0), (8500, 1200.0), (8900, -900.0)):
            problem.weight[column] += height
    problem.targets = torch.tensor([8500, 8900, 4200])
    assert_exact(problem, chunk_size=chunk_size, memory=memory)


@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_likely_targets_keep_their_digits(trained, engine):
    """The kernels sum up what is not the target: `1 - p` of a target with p = 1 - 4e-9 is not zero."""
    if engine == "host":
        pytest.skip("torch's log_softmax rounds such a log-probability to zero")
    hidden = torch.tensor([[20.0]], requires_grad=True, device=DEVICE)
    weight = torch.tensor([[0.0], [1.0], [0.0]], requires_grad=trained, device=DEVICE)
    loss = linear_nll(hidden, weight, torch.tensor([1], device=DEVICE)).loss
    (gradient,) = torch.autograd.grad(loss, hidden)
    rest = 2 * torch.exp(torch.tensor(-20.0, dtype=torch.float64))
    missing = (rest / (1 + rest)).to(torch.float32)
    torch.testing.assert_close(gradient.cpu().flatten(), -missing.reshape(1), rtol=1e-5, atol=0)


@memory_modes
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_reaches_the_loss_of_its_token_alone(trained, memory, value):
    problem = make(6, 300, 8, trained=trained, ignored=False).to(DEVICE)
    problem.hidden.data[2, 3] = value
    nll_ = problem.run(linear_nll, memory=memory).nll
    assert not nll_[2].isfinite()
    assert nll_[[0, 1, 3, 4, 5]].isfinite().all()


class Rows:
    """A weight that is made when it is asked for."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        self.shape, self.dtype, self.device = weight.shape, weight.dtype, weight.device

    def rows(self, start: int, stop: int) -> Tensor:
        return self._weight[start:stop].clone()

    def gather(self, index: Tensor) -> Tensor:
        return self._weight[index]


@memory_modes
@pytest.mark.parametrize("rank", [0, 4])
def test_rows_that_are_made(memory, rank):
    problem = make(7, 2500, 12, trained=False, rank=rank).to(DEVICE)
    expected = everything(problem, linear_logps, memory=memory, chunk_size=1)
    problem.weight, matrix = Rows(problem.weight.detach()), problem.weight
    trained = [tensor for tensor in (problem.hidden, problem.low, problem.up) if tensor is not None]
    result = problem.run(linear_logps, statistics=STATISTICS, memory=memory, chunk_size=1)
    upstream = torch.linspace(-2.1, 1.7, len(result.logps), device=DEVICE)
    gradients = torch.autograd.grad(result.logps, trained, upstream)
    torch.testing.assert_close([result.logps.detach(), *gradients], [expected[0], *expected[4:]])
    torch.testing.assert_close(problem.run(linear_nll_reference).loss, -result.logps.sum())
    assert matrix.shape == problem.weight.shape


@memory_modes
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_the_same_bits_every_time(trained, memory):
    problem = make(40, 700, 16, trained=trained).to(DEVICE)
    first, second = (everything(problem, linear_nll, memory=memory, chunk_size=3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("function", [linear_nll, linear_logps])
@pytest.mark.parametrize("extra", [{}, {"rank": 3, "bias": True}], ids=["plain", "adapted"])
def test_products_kept_for_the_backward_pass_serve_several(function, extra):
    """The first backward pass keeps the graph, and must not use up what the second needs."""
    problem = make(30, 700, 16, **extra).to(DEVICE)
    value = problem.run(function)[0]
    upstream = torch.linspace(-2.1, 1.7, value.numel(), device=DEVICE).view(value.shape)
    first = torch.autograd.grad(value, problem.trained, upstream, retain_graph=True)
    second = torch.autograd.grad(value, problem.trained, upstream)
    exact = torch.autograd.grad(problem.run(function, chunk_size=4)[0], problem.trained, upstream)
    torch.testing.assert_close(first, exact)
    torch.testing.assert_close(second, exact)


@pytest.mark.parametrize("function", [linear_nll, linear_logps])
@pytest.mark.parametrize(("chunk_size", "kept"), [(None, True), (40, True), (39, False)])
def test_three_products_where_one_tile_holds_the_logits(function, chunk_size, kept, engine):
    if engine == "host":
        pytest.skip("nothing is kept on a CPU")
    problem = make(40, 700, 16, ignored=False).to(DEVICE)
    with Record() as seen:
        problem.run(function, chunk_size=chunk_size)[0].sum().backward()
    assert (seen.products == 3) == kept


@memory_modes
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_no_tokens(trained, memory):
    problem = make(0, 50, 8, trained=trained, ignored=False).to(DEVICE)
    for function in (linear_nll, linear_logps):
        value = problem.run(function, memory=memory)[0]
        gradients = torch.autograd.grad(value.sum(), problem.trained)
        assert value.sum() == 0
        assert all(not gradient.any() for gradient in gradients)


@memory_modes
@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_where_memory_is_short_tiles_are_halved(trained, memory, engine, monkeypatch):
    if engine == "host":
        pytest.skip("tiles of a CPU are small")
    problem = make(20, 3000, 16, trained=trained).to(DEVICE)
    expected = everything(problem, linear_nll, memory=memory)
    real, refused = torch.empty, []

    def empty(*shape, **options):
        if len(shape) == 1 and isinstance(shape[0], int) and shape[0] > 9_000:
            refused.append(shape[0])
            raise torch.OutOfMemoryError("planted")
        return real(*shape, **options)

    monkeypatch.setattr(torch, "empty", empty)
    ours = everything(problem, linear_nll, memory=memory)
    assert len(refused) > 1
    for value, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(value, other)
