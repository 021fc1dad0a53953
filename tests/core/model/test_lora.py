"""LoRA's settings reach PEFT, and what matches nothing is refused."""

from __future__ import annotations

import pytest

from trainwright.config.models import LoraSection
from trainwright.errors import ModelError
from trainwright.model.lora import lora_config
from trainwright.testing import tiny_model
from trainwright.trainer.methods import METHODS

SFT = METHODS["sft"]


@pytest.fixture(scope="module")
def llama():
    return tiny_model("llama")


def adapted(section, method=SFT):
    from peft import get_peft_model

    model = tiny_model("llama")
    return get_peft_model(model, lora_config(section, method, model))


def adapted_modules(section):
    return {name.split(".")[-4] for name, _ in adapted(section).named_parameters() if ".lora_A." in name}


def test_defaults():
    config = lora_config(LoraSection(r=4), SFT)
    assert (config.r, config.lora_alpha, config.target_modules) == (4, 8, "all-linear")
    assert config.task_type == "CAUSAL_LM"


def test_every_key_reaches_peft():
    section = LoraSection(
        r=4,
        alpha=3.0,
        dropout=0.1,
        target_modules=["q_proj"],
        modules_to_save=["lm_head"],
        bias="all",
        dora=True,
        rslora=True,
        init_kwargs={"layers_to_transform": [0]},
    )
    config = lora_config(section, METHODS["reward"])
    assert (config.lora_alpha, config.lora_dropout, config.target_modules) == (3.0, 0.1, {"q_proj"})
    assert (config.modules_to_save, config.bias, config.use_dora, config.use_rslora) == (["lm_head"], "all", True, True)
    assert (config.layers_to_transform, config.task_type) == ([0], "SEQ_CLS")


def test_all_linear_leaves_the_head_out_and_a_list_may_name_it():
    everything = adapted_modules(LoraSection(r=2))
    assert {"q_proj", "down_proj"} <= everything
    assert "lm_head" not in everything
    assert adapted_modules(LoraSection(r=2, target_modules=["lm_head"])) == {"lm_head"}


def test_a_pattern_is_matched_against_whole_names(llama):
    assert adapted_modules(LoraSection(r=2, target_modules=r".*\.(q|v)_proj")) == {"q_proj", "v_proj"}
    with pytest.raises(ModelError, match="no module of the model is named `q_proj`"):
        lora_config(LoraSection(target_modules="q_proj"), SFT, llama)
    with pytest.raises(ModelError, match=r"no module of the model is named `\(`"):
        lora_config(LoraSection(target_modules="("), SFT, llama)


def test_each_name_that_matches_nothing_is_said_with_what_there_is(llama):
    section = LoraSection(target_modules=["q_proj", "v_prj"], modules_to_save=["head"])
    with pytest.raises(ModelError) as caught:
        lora_config(section, SFT, llama)
    assert len(caught.value.problems) == 2
    assert "named `v_prj`\n  → Did you mean `v_proj`? It has: down_proj" in str(caught.value)


def test_init_kwargs_are_fields_that_are_not_keys_already():
    keywords = {"layers_to_transfrom": [0], "lora_alpha": 2, "task_type": "X"}
    with pytest.raises(ModelError) as caught:
        lora_config(LoraSection(init_kwargs=keywords), SFT)
    said = str(caught.value)
    assert "no field `layers_to_transfrom`\n  → Did you mean `layers_to_transform`?" in said
    assert "`lora_alpha` in `init_kwargs` is what `lora.alpha` says" in said
    assert "the method decides it" in said


def test_what_peft_refuses_is_one_error():
    with pytest.raises(ModelError, match="PEFT refuses"):
        lora_config(LoraSection(target_modules=".*", init_kwargs={"layers_to_transform": [0]}), SFT)


@pytest.mark.parametrize("options", [{"dora": True}, {"rslora": True}, {"modules_to_save": ["lm_head"]}])
def test_each_variant_trains(options):
    import torch

    model = adapted(LoraSection(r=2, target_modules=["q_proj"], **options))
    tokens = torch.arange(6)[None]
    model(input_ids=tokens, labels=tokens).loss.backward()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert trained
    assert all(parameter.grad is not None for parameter in trained)
