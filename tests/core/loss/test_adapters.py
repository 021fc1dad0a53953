"""What a head multiplies by, against the head module itself in float64: every adapter that PEFT may put on it."""

from __future__ import annotations

import peft
import pytest
import torch
from head_problems import (
    VOCABULARY,
    WIDTH,
    MadeTensors,
    TinyHead,
    adapted,
    assert_projects,
    head_of,
    hidden_states,
    logits_of,
    outcome,
)

from trainwright.errors import ModelError
from trainwright.loss.adapters import project
from trainwright.loss.head import Head
from trainwright_ops import linear_logps, linear_nll

DORA = {"use_dora": True}
KINDS = {
    "lora": [{}],
    "rslora": [{"use_rslora": True}],
    "lora-bias": [{"lora_bias": True}],
    "dropout": [{"lora_dropout": 0.4}],
    "two": [{}, {"r": 3, "lora_alpha": 5}],
    "two-bias": [{"lora_bias": True}, {"r": 3, "lora_bias": True}],
    "dora": [DORA],
    "dora-dropout": [{**DORA, "lora_dropout": 0.4}],
    "lora-then-dora": [{"lora_bias": True}, {**DORA, "r": 3}],
    "lora-then-dora-dropout": [{}, {**DORA, "lora_dropout": 0.4}],
    "dora-then-lora": [DORA, {"r": 3, "lora_dropout": 0.4}],
    "two-doras": [DORA, {**DORA, "r": 3}],
    "dora-dropout-then-dora": [{**DORA, "lora_dropout": 0.4}, DORA],
    "modules-to-save": [{"target_modules": ["layer"], "modules_to_save": ["lm_head"]}],
    "trainable-tokens": [{"target_modules": ["layer"], "trainable_token_indices": {"lm_head": [3, 30]}}],
    "not-on-the-head": [{"target_modules": ["layer"]}],
}
EVERY = pytest.mark.parametrize("kind", KINDS)


@EVERY
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("tokens", [1, 7, 33])
def test_training(kind, bias, tokens):
    model = adapted(*KINDS[kind], bias=bias).train()
    assert_projects(head_of(model), hidden_states(tokens))


@EVERY
def test_evaluation(kind):
    assert_projects(head_of(adapted(*KINDS[kind]).eval()), hidden_states(7))


@EVERY
def test_adapters_off(kind):
    model = adapted(*KINDS[kind])
    hidden, head = hidden_states(7), head_of(model)
    active = head(hidden)
    with model.disable_adapter():
        assert_projects(head, hidden)
        product = project(head, hidden)
        assert product.low_rank is None
        assert product.weight.shape == (VOCABULARY, WIDTH)
        off = head(hidden)
    assert torch.equal(active, off) == (kind == "not-on-the-head")


# PEFT itself merges several adapters, of which one is a DoRA, into another model than it runs.
@pytest.mark.parametrize("kind", ["lora", "lora-bias", "dropout", "two", "dora", "trainable-tokens"])
def test_merged(kind):
    model = adapted(*KINDS[kind], bias=True).eval()
    head, hidden = head_of(model), hidden_states(7)
    layer = getattr(head, "token_adapter", head)
    before = layer.base_layer.weight.detach().clone()
    layer.merge()
    assert_projects(head, hidden)
    assert project(head, hidden).low_rank is None
    with model.disable_adapter():  # the module takes its adapters out again before it runs
        torch.testing.assert_close(project(head, hidden).weight, before, rtol=1e-12, atol=1e-12)
        assert not layer.merged


@pytest.mark.parametrize(("names", "rank"), [(["one"], 4), (["two"], 3), (["two", "one"], 7)])
def test_other_adapters_are_chosen(names, rank):
    model = adapted({}, {"r": 3})
    model.base_model.set_adapter(names)
    assert_projects(head_of(model), hidden_states(7))
    assert project(head_of(model), hidden_states(7)).low_rank[0].shape == (7, rank)


def test_mica_is_lora():
    try:
        model = adapted({"init_lora_weights": "mica"}, dtype=torch.float32).double()
    except (TypeError, ValueError):
        pytest.skip("this PEFT has no MiCA")
    assert_projects(head_of(model), hidden_states(7))


@pytest.mark.parametrize("autocast", [False, True], ids=["", "autocast"])
@pytest.mark.parametrize("kind", ["lora", "two-bias", "dora", "dora-dropout", "trainable-tokens", "modules-to-save"])
def test_low_precision(kind, autocast):
    """bf16 models with fp32 adapters, and fp32 ones under autocast: no further from float64 than the head, twice."""
    model = adapted(*KINDS[kind], bias=True, dtype=torch.float32 if autocast else torch.bfloat16).train()
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.float() if "lora_" in name else parameter.data
    head, hidden = head_of(model), hidden_states(33, dtype=torch.float32 if autocast else torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        own = outcome(head, lambda states: head(states).float(), hidden)
        got = outcome(head, lambda states: logits_of(project(head, states), torch.float32), hidden)
    exact = outcome(head.double(), head, hidden.detach().double().requires_grad_())
    allowed = 2 * max(errors(own, exact).values())
    assert allowed < 0.03
    for name, error in errors(got, exact).items():
        assert error <= allowed, f"{name}: {error:.3g} of its largest value, {allowed:.3g} allowed"


def errors(found, exact):
    """The largest error of each tensor, as a share of its largest value."""
    return {
        name: float((found[name].double() - value).abs().max() / value.abs().max()) for name, value in exact.items()
    }


FAULTS = {
    "scale": lambda product: product._replace(low_rank=(product.low_rank[0] * 1.001, product.low_rank[1])),
    "rows": lambda product: product._replace(low_rank=(product.low_rank[0], product.low_rank[1].roll(1, 0))),
    "columns": lambda product: product._replace(low_rank=(product.low_rank[0].flip(1), product.low_rank[1])),
    "constant-low": lambda product: product._replace(low_rank=(product.low_rank[0].detach(), product.low_rank[1])),
    "constant-up": lambda product: product._replace(low_rank=(product.low_rank[0], product.low_rank[1].detach())),
    "no-adapter": lambda product: product._replace(low_rank=None),
    "no-bias": lambda product: product._replace(bias=None),
    "weight": lambda product: product._replace(weight=product.weight * 1.001),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["lora", "dropout", "two-bias", "dora", "dora-dropout"])
def test_planted_faults_are_found(kind, fault):
    head = head_of(adapted(*KINDS[kind], bias=True).train())
    with pytest.raises(AssertionError):
        assert_projects(head, hidden_states(7), FAULTS[fault])


def test_another_variant_of_lora_is_refused():
    model = adapted({"alora_invocation_tokens": [1]})
    with pytest.raises(ModelError, match="carries a ALoraLinearVariant adapter, which this loss cannot read"):
        project(head_of(model), hidden_states(7))


@pytest.mark.parametrize("kind", ["LoHaConfig", "AdaLoraConfig", "IA3Config"])
def test_another_adapter_is_refused(kind):
    options = {"feedforward_modules": []} if kind == "IA3Config" else {}
    options |= {"total_step": 9} if kind == "AdaLoraConfig" else {}
    model = peft.get_peft_model(TinyHead(), getattr(peft, kind)(target_modules=["lm_head"], **options))
    with pytest.raises(ModelError, match=r"carries a \w+ adapter, which this loss cannot read"):
        project(head_of(model), hidden_states(7, dtype=torch.float32))


def test_a_head_without_a_matrix_is_refused():
    with pytest.raises(ModelError, match="the LM head is a Embedded, whose weight cannot be read as a matrix"):
        project(type("Embedded", (torch.nn.Module,), {})(), hidden_states(7))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "not-on-the-head"])
@pytest.mark.parametrize("transform", [{}, {"scale": 0.5, "softcap": 3.0}], ids=["", "transform"])
def test_the_ops_take_what_a_head_gives_them(kind, transform):
    head, hidden = head_of(adapted(*KINDS[kind], bias=True).train()), hidden_states(33)
    targets = torch.arange(33) % VOCABULARY
    operands = [hidden, *(parameter for parameter in head.parameters() if parameter.requires_grad)]

    def gradients(loss):
        return [loss.detach(), *torch.autograd.grad(loss, operands)]

    def transformed(logits):
        logits = logits * transform.get("scale", 1.0)
        cap = transform.get("softcap")
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def product():
        torch.manual_seed(5)
        return Head(targets=targets, **project(head, hidden)._asdict(), **transform).keywords()

    torch.manual_seed(5)
    expected = gradients(torch.nn.functional.cross_entropy(transformed(head(hidden)), targets, reduction="sum"))
    for found in (linear_nll(**product(), chunk_size=8).loss, -linear_logps(**product(), chunk_size=8).logps.sum()):
        torch.testing.assert_close(gradients(found), expected, rtol=1e-10, atol=1e-10)


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────────

SIZES = {"vocabulary": 512, "width": 64}
WEIGHT = SIZES["vocabulary"] * SIZES["width"]


@pytest.mark.parametrize("kind", ["lora", "dropout", "two", "lora-bias", "trainable-tokens"])
def test_no_second_weight_is_made(kind):
    """Neither by the projection nor by a whole step of the loss, whose tiles are smaller than the weight here."""
    head = head_of(adapted(*KINDS[kind], **SIZES).train())
    hidden = hidden_states(33, SIZES["width"])
    with MadeTensors() as made:
        product = Head(targets=torch.arange(33), **project(head, hidden)._asdict())
        linear_nll(**product.keywords(), chunk_size=8).loss.backward()
    assert 33 * SIZES["width"] in made.sizes  # the gradient of the hidden states: what is made was seen
    assert made.at_least(WEIGHT) == 0
    with made:  # and a widened weight would have been
        torch.cat([product.weight, product.low_rank[1]], dim=1)
    assert made.at_least(WEIGHT) == 1


@pytest.mark.parametrize("kind", ["dora", "dora-dropout"])
def test_dora_makes_one_scaled_copy(kind, monkeypatch):
    monkeypatch.setattr("trainwright.loss.blocks.BLOCK_BYTES", WEIGHT)  # 21 of 512 rows at once
    head = head_of(adapted(*KINDS[kind], **SIZES).train())
    hidden = hidden_states(33, SIZES["width"])
    with MadeTensors() as made:
        product = project(head, hidden)
    assert made.at_least(WEIGHT) == 1
    copy = product.weight if kind == "dora" else product.low_rank[1]
    with MadeTensors() as made:
        copy.backward(torch.ones_like(copy))
    assert made.at_least(WEIGHT) == 1  # the ones
