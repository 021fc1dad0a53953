"""Quantised heads, bare and with adapters, against the head module's own output; and a step of training."""

from __future__ import annotations

import pytest
import torch
from head_problems import adapted, assert_projects, head_of, hidden_states
from quantized_heads import HEADS, KINDS, ON_GPU

from trainwright.loss.adapters import project
from trainwright.loss.head import Head
from trainwright.loss.quantized import quantized_rows
from trainwright.testing.adapters import random_adapter
from trainwright.testing.bench import Case, one_step
from trainwright.testing.loss_contract import FLOAT32_ROUNDING, assert_equal
from trainwright.testing.oracle import plain_outcome
from trainwright_ops import linear_logps, linear_nll

SINGLE = 1e-5  # rounding of float32, grown by sums over some 10^2 terms


@KINDS
@pytest.mark.parametrize("width", [64, 24])
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("tokens", [1, 7, 33])
def test_a_bare_head(kind, width, bias, tokens):
    assert_projects(HEADS[kind](width, 37, bias=bias), hidden_states(tokens, width, torch.float32), rounding=SINGLE)


def quantized_model(kind, *configs, width=64, **options):
    """A PEFT model on a quantised head, in float32."""

    def edit(model):
        model.lm_head = HEADS[kind](width, 37, bias=model.lm_head.bias is not None)
        setattr(model, "is_loaded_in_8bit" if kind == "int8" else "is_loaded_in_4bit", True)

    return adapted(*configs, edit=edit, dtype=torch.float32, width=width, **options).train()


ADAPTERS = {
    "lora": [{}],
    "dropout": [{"lora_dropout": 0.4}],
    "two": [{"lora_bias": True}, {"r": 3}],
    "dora": [{"use_dora": True}],
    "dora-dropout": [{"use_dora": True, "lora_dropout": 0.4}],
}


@KINDS
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_on_a_quantised_head(kind, adapter):
    model = quantized_model(kind, *ADAPTERS[adapter], bias=True)
    head, hidden = head_of(model), hidden_states(7, 64, torch.float32)
    assert type(head).__name__.startswith("Linear"), type(head)
    assert_projects(head, hidden, rounding=4 * SINGLE)
    with model.disable_adapter():
        assert project(head, hidden).low_rank is None
        if not (kind == "int8" and "dora" in adapter):  # on a CPU, PEFT's DoRA loses the scales of an 8-bit weight
            assert_projects(head, hidden, rounding=SINGLE)


@KINDS
def test_merged_into_a_quantised_head(kind):
    model = quantized_model(kind, {})
    head, hidden = head_of(model), hidden_states(7, 64, torch.float32)
    before = quantized_rows(head.base_layer, torch.float32).rows(0, 37)
    head.merge()
    assert_projects(head, hidden, rounding=SINGLE)
    assert not torch.equal(project(head, hidden).weight.rows(0, 37), before)


@KINDS
@pytest.mark.parametrize("adapter", [None, *ADAPTERS])
def test_the_ops_take_the_rows(kind, adapter):
    """Log-probabilities and gradients against float64, through all that the ops do with rows."""
    model = quantized_model(kind, *ADAPTERS[adapter or "lora"])
    head, hidden = head_of(model), hidden_states(33, 64, torch.float32)
    head = head.base_layer if adapter is None else head
    targets = torch.arange(33) % 37

    def logps(states):
        torch.manual_seed(5)
        return linear_logps(**Head(targets=targets, **project(head, states)._asdict()).keywords(), chunk_size=8).logps

    operands = [hidden, *(parameter for parameter in head.parameters() if parameter.requires_grad)]
    torch.manual_seed(5)
    own = head(hidden).double().log_softmax(-1).gather(1, targets.unsqueeze(1)).squeeze(1)
    weights = torch.linspace(0.5, 1.5, 33)
    expected = torch.autograd.grad((own * weights).sum(), operands)
    torch.testing.assert_close(logps(hidden).double(), own, rtol=1e-4, atol=1e-5)
    for got, value in zip(torch.autograd.grad((logps(hidden) * weights).sum(), operands), expected, strict=True):
        torch.testing.assert_close(got, value, rtol=1e-4, atol=2e-5 * float(value.abs().max()))
    torch.manual_seed(5)
    loss = linear_nll(**Head(targets=targets, **project(head, hidden)._asdict()).keywords(), chunk_size=8).loss
    torch.testing.assert_close(loss.double(), -own.sum(), rtol=1e-5, atol=0)


# ── training ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def mean_nll(ctx):
    return ctx.loss(-ctx.policy.token_logps().logps, per="token")


def filled(trainer):
    """Adapters with something in them, in float32: TRL has made them bf16, as is its way with quantised models."""
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    random_adapter(trainer)
    trainer.model.train()  # in evaluation, bitsandbytes rounds hidden states to 8 bits too


@pytest.mark.parametrize("targets", [["q_proj"], ["q_proj", "lm_head"]], ids=["frozen", "lora"])
@KINDS
def test_a_step_of_training(kind, targets):
    whole_blocks = {} if kind == "int8" else {"blocksize": 32}  # see `quantized_heads.whole`

    def quantise(model):
        full = model.lm_head.weight.data
        model.lm_head = HEADS[kind](full.shape[1], full.shape[0], weight=full, **whole_blocks)
        setattr(model, "is_loaded_in_8bit" if kind == "int8" else "is_loaded_in_4bit", True)

    case = Case(mean_nll, edit=quantise, peft={"r": 4, "target_modules": targets}, wrap=filled)
    expected = plain_outcome(case, lambda policy, reference, settings: -torch.cat(list(policy)).mean())
    assert any("lm_head" in name for name in expected.gradients) == ("lm_head" in targets)
    assert_equal(one_step(case), expected, FLOAT32_ROUNDING)


@pytest.mark.parametrize("kind", [kind for kind in HEADS if kind != "int8"])
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=ON_GPU)])
def test_a_head_on_a_gpu(kind, device):
    head = HEADS[kind](2048, 300, compute_dtype=torch.float32).to(device)
    hidden = hidden_states(33, 2048, torch.float32).detach().to(device).requires_grad_()
    targets = torch.arange(33, device=device)
    expected = head(hidden).log_softmax(-1).gather(1, targets.unsqueeze(1)).squeeze(1)
    got = linear_logps(**Head(targets=targets, **project(head, hidden)._asdict()).keywords()).logps
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)  # products may be rounded to TF32
    torch.testing.assert_close(
        *(torch.autograd.grad(logps.sum(), hidden)[0] for logps in (got, expected)), rtol=1e-3, atol=1e-3
    )
