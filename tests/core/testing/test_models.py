"""Tiny models: what makes a family special is there, and shows in the logits."""

from __future__ import annotations

import math

import pytest

from trainwright.testing import FAMILIES, family_names, save_tiny, tiny_config, tiny_model, tiny_tokenizer

torch = pytest.importorskip("torch")

EVERY = pytest.mark.parametrize("family", FAMILIES)


def some_tokens(family: str):
    """Ids of ordinary tokens, (2, 24); a special token could stand for an image."""
    return torch.randint(0, 500, (2, 24), generator=torch.Generator().manual_seed(7))


def logits(family: str, **arguments):
    with torch.no_grad():
        return tiny_model(family, **arguments)(input_ids=some_tokens(family)).logits


@EVERY
def test_logits_have_a_row_for_each_token_and_a_spread_of_about_one(family):
    out = logits(family)
    assert out.shape == (2, 24, len(tiny_tokenizer(family)))
    assert 0.5 < out.std() < 2


@EVERY
def test_the_loss_is_not_log_v_and_no_gradient_vanishes(family):
    model = tiny_model(family)
    ids = some_tokens(family)
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    assert abs(loss - math.log(len(tiny_tokenizer(family)))) > 0.02
    norms = {name: weight.grad.norm() for name, weight in model.named_parameters() if weight.grad is not None}
    assert min(norms.values()) > 1e-4 * max(norms.values())
    silent = {name for name, _ in model.named_parameters()} - norms.keys()
    assert all("vision" in FAMILIES[family].traits and "lm_head" not in name for name in silent)


@EVERY
def test_the_seed_alone_decides_the_weights(family):
    torch.manual_seed(1)
    first = logits(family)
    state = torch.random.get_rng_state()
    assert torch.equal(logits(family), first)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.equal(logits(family, seed=1), first)


@EVERY
def test_heads_are_tied_as_the_table_says(family):
    model = tiny_model(family)
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied == ("tied" in FAMILIES[family].traits)


@EVERY
def test_biases_are_where_the_table_says_and_are_not_zero(family):
    model = tiny_model(family)
    head = model.get_output_embeddings()
    assert (getattr(head, "bias", None) is not None) == ("head_bias" in FAMILIES[family].traits)
    text = [(name, weight) for name, weight in model.named_parameters() if "vision" not in name]
    attention = [weight for name, weight in text if name.endswith(("q_proj.bias", "v_proj.bias"))]
    assert bool(attention) == ("attention_bias" in FAMILIES[family].traits)
    assert all(weight.any() for name, weight in text)


@EVERY
def test_a_lower_precision_is_the_same_model_rounded(family):
    exact, rounded = tiny_model(family), tiny_model(family, dtype=torch.bfloat16)
    assert rounded.dtype == torch.bfloat16
    for ours, theirs in zip(exact.parameters(), rounded.parameters(), strict=True):
        assert torch.equal(ours.bfloat16(), theirs)


@EVERY
def test_float64_runs_and_agrees_with_float32_to_its_rounding(family):
    exact, single = logits(family, dtype=torch.float64), logits(family)
    # A few dozen roundings of values of about one, through two layers.
    assert (exact - single).abs().max() < 200 * torch.finfo(torch.float32).eps
    assert exact.dtype == torch.float64


@EVERY
def test_a_saved_checkpoint_gives_the_same_logits_and_tokens(family, tmp_path):
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

    folder = save_tiny(family, tmp_path / "checkpoint")
    loader = AutoModelForImageTextToText if "vision" in FAMILIES[family].traits else AutoModelForCausalLM
    ids = some_tokens(family)
    with torch.no_grad():
        assert torch.equal(loader.from_pretrained(folder)(input_ids=ids).logits, logits(family))
    tokenizer, loaded = tiny_tokenizer(family), AutoTokenizer.from_pretrained(folder)
    text = "It's 123, isn't it?\n\n  Ja — ein Brötchen! 🥐 " + (tokenizer.eos_token or "")
    assert loaded(text).input_ids == tokenizer(text).input_ids
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded.chat_template == tokenizer.chat_template
    assert loaded.special_tokens_map == tokenizer.special_tokens_map


@pytest.mark.parametrize("family", family_names("softcap"))
def test_the_soft_cap_bends_the_logits(family):
    cap = tiny_config(family).final_logit_softcapping
    free, capped = logits(family, final_logit_softcapping=None), logits(family)
    torch.testing.assert_close(capped, cap * torch.tanh(free / cap))
    assert free.abs().max() > cap > capped.abs().max()
    eager = {"attn_implementation": "eager"}  # other attention leaves its soft cap out, before transformers 5.21
    assert not torch.allclose(logits(family, **eager, attn_logit_softcapping=None), logits(family, **eager), atol=1e-2)


@pytest.mark.parametrize("family", family_names("logit_scale"))
def test_the_logit_scale_scales_the_logits(family):
    name, factor = ("logits_scaling", 1 / 4) if family == "granite" else ("logit_scale", 1 / 4)
    torch.testing.assert_close(logits(family), factor * logits(family, **{name: 1.0}))


@pytest.mark.parametrize("family", family_names("moe"))
def test_a_mixture_gives_its_router_s_logits_and_where_the_table_says_a_loss(family):
    ids = some_tokens(family)
    out = tiny_model(family)(input_ids=ids, labels=ids, output_router_logits=True)
    assert out.router_logits
    has_loss = getattr(out, "aux_loss", None) is not None
    assert has_loss == ("aux_loss" in FAMILIES[family].traits)
    if has_loss:
        plain = tiny_model(family)(input_ids=ids, labels=ids).loss
        coefficient = tiny_config(family).router_aux_loss_coef
        torch.testing.assert_close(out.loss, plain + coefficient * out.aux_loss)
        out.aux_loss.backward()


def test_the_small_qwen3_moe_has_the_proportions_of_30b_a3b():
    small = tiny_config("qwen3-moe")
    assert small.num_attention_heads / small.num_key_value_heads == 32 / 4
    assert small.num_attention_heads * small.head_dim / small.hidden_size == 32 * 128 / 2048
    assert small.intermediate_size / small.hidden_size == 6144 / 2048
    assert small.moe_intermediate_size / small.hidden_size == 768 / 2048
    assert small.num_experts / small.num_experts_per_tok == 128 / 8


def test_vocabulary_and_config_can_be_overridden():
    model = tiny_model("llama", vocab_size=777, num_hidden_layers=3)
    assert model.get_output_embeddings().weight.shape == (777, 32)
    assert model.config.num_hidden_layers == 3
    nested = tiny_config("gemma3-vlm", text_config={"final_logit_softcapping": 3.0})
    assert nested.text_config.final_logit_softcapping == 3.0
    assert nested.text_config.hidden_size == 32
    assert FAMILIES["gemma3-vlm"].sizes["text_config"].get("final_logit_softcapping") is None
