"""The plugin on a context of its own making; on real trainers it is tested by `test_contract.py`."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy

import trainwright_chunked_nll as plugin
from trainwright.loss.head import Head


class Context:
    """A loss context whose model is one head on fixed hidden states."""

    def __init__(self, head: Head, **settings: object) -> None:
        self.head, self.settings = head, plugin.Settings(**settings)
        self.policy = SimpleNamespace(apply=lambda function: function(head))
        self.metrics: dict[str, torch.Tensor] = {}

    def metric(self, name, values, *, count=None):
        self.metrics[name] = values.double().mean()

    def loss(self, values, per):
        return values.sum(), per


@pytest.fixture
def head() -> Head:
    torch.manual_seed(0)
    hidden, weight = torch.randn(23, 8).requires_grad_(), torch.randn(31, 8).requires_grad_()
    return Head(hidden, weight, torch.randint(0, 31, (23,)), bias=torch.randn(31), scale=0.5, softcap=5.0)


def logits(head: Head) -> torch.Tensor:
    return 5.0 * torch.tanh(0.5 * (head.hidden @ head.weight.T + head.bias) / 5.0)


@pytest.mark.parametrize("memory", ["default", "lowest"])
@pytest.mark.parametrize("chunk_size", [None, 1, 7, 1000])
def test_loss_is_the_sum_over_tokens(head, chunk_size, memory):
    total, unit = plugin.compute_loss(Context(head, chunk_size=chunk_size, memory=memory))
    expected = cross_entropy(logits(head), head.targets, reduction="sum")
    operands = (head.hidden, head.weight)
    assert unit == "token"
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(torch.autograd.grad(total, operands), torch.autograd.grad(expected, operands))


def test_metrics(head):
    context = Context(head)
    plugin.compute_loss(context)
    distribution = torch.distributions.Categorical(logits=logits(head))
    accuracy = (logits(head).argmax(-1) == head.targets).double().mean()
    assert set(context.metrics) == {"entropy", "mean_token_accuracy"}
    torch.testing.assert_close(context.metrics["entropy"], distribution.entropy().double().mean())
    torch.testing.assert_close(context.metrics["mean_token_accuracy"], accuracy)


def test_dft_weighs_the_loss_and_logs_it_unweighted(head):
    context = Context(head, dft=True)
    total, _ = plugin.compute_loss(context)
    nll = cross_entropy(logits(head), head.targets, reduction="none")
    torch.testing.assert_close(total, (nll * (-nll).exp().detach()).sum())
    torch.testing.assert_close(context.metrics["nll"], nll.detach().double().mean())


def test_one_pass_over_the_head(head):
    calls = []
    context = Context(head)
    context.policy = SimpleNamespace(apply=lambda function: calls.append(1) or function(head))
    plugin.compute_loss(context)
    assert len(calls) == 1


@pytest.mark.parametrize("settings", [{"chunk_size": 0}, {"chunk_size": -8}, {"chunksize": 8}, {"dft": "perhaps"}])
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ValidationError):
        plugin.Settings(**settings)


def test_importing_it_does_not_import_torch():
    code = "import sys, trainwright_chunked_nll as p; p.Settings(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_settings_reach_the_head_function(head, monkeypatch):
    import trainwright_ops

    seen = {}
    real = trainwright_ops.linear_nll
    monkeypatch.setattr(trainwright_ops, "linear_nll", lambda *a, **k: (seen.update(k), real(*a, **k))[1])
    plugin.compute_loss(Context(head, chunk_size=3, memory="lowest", dft=True))
    assert (seen["chunk_size"], seen["memory"], seen["dft"], seen["statistics"]) == (3, "lowest", True, True)
