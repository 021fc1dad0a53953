"""Models are loaded as the right class, with every weight, or refused in one error."""

from __future__ import annotations

import json
import sys
from importlib.machinery import ModuleSpec

import pytest

from trainwright.config.models import LoraSection, ModelSection
from trainwright.errors import ModelError
from trainwright.model.load import load_model, load_processing
from trainwright.testing import save_tiny, tiny_model
from trainwright.trainer.methods import METHODS


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save_tiny("llama", tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def vision(tmp_path_factory):
    return save_tiny("gemma3-vlm", tmp_path_factory.mktemp("vision"))


@pytest.fixture
def copy(llama, tmp_path):
    """A copy that may be damaged."""
    import shutil

    return shutil.copytree(llama, tmp_path / "copy")


def load(make_config, path, keywords=None, **section):
    config = make_config(ModelSection(path=str(path), **section))
    return load_model(config.model, config, **(keywords or {}))


def test_a_model_and_its_tokenizer_are_loaded(make_config, llama):
    import torch

    config = make_config(llama)
    model, tokenizer = load_model(config.model, config), load_processing(config.model, config)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert all(parameter.requires_grad for parameter in model.parameters())
    tokens = torch.tensor([tokenizer("hello")["input_ids"]])
    assert torch.equal(model(tokens).logits, tiny_model("llama")(tokens).logits)


def test_a_model_that_takes_images_comes_with_its_processor(make_config, vision):
    config = make_config(vision)
    assert type(load_model(config.model, config)).__name__ == "Gemma3ForConditionalGeneration"
    assert hasattr(load_processing(config.model, config), "image_processor")


def test_a_frozen_model_trains_nothing(make_config, llama):
    model = load(make_config, llama, {"training": False})
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_dtype_is_that_of_the_section(make_config, llama, dtype):
    assert str(load(make_config, llama, dtype=dtype).dtype) == f"torch.{dtype}"


def test_attention_and_further_keywords_reach_transformers(make_config, llama):
    model = load(make_config, llama, attn_implementation="eager", init_kwargs={"rms_norm_eps": 0.25})
    assert model.config._attn_implementation == "eager"
    assert model.config.rms_norm_eps == 0.25


def test_a_reward_model_has_a_scalar_head_of_the_run_s_seed(make_config, llama):
    import torch

    def head(seed):
        config = make_config(llama, method="reward", training={"seed": seed})
        return load_model(config.model, config).score.weight

    first, again, other = head(1), head(1), head(2)
    assert first.shape[0] == 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_method_may_be_given(make_config, llama):
    assert hasattr(load(make_config, llama, {"method": METHODS["reward"]}), "score")


def test_keywords_that_clash_are_said_all_at_once(make_config, llama):
    keywords = {"torch_dtype": "bfloat16", "revision": "x", "num_labels": 2}
    with pytest.raises(ModelError) as caught:
        load(make_config, llama, init_kwargs=keywords)
    said = str(caught.value)
    assert len(caught.value.problems) == 3
    assert "model.init_kwargs.torch_dtype: `torch_dtype` in `init_kwargs` is what `model.dtype` says" in said
    assert "loading decides it" in said


def test_a_keyword_that_the_model_does_not_know_is_one_error(make_config, llama):
    with pytest.raises(ModelError, match="cannot be loaded: TypeError"):
        load(make_config, llama, init_kwargs={"no_such_keyword": object})


def test_weights_that_are_missing_are_not_drawn_at_random(make_config, copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"has no weights for model\.norm\.weight"):
        load(make_config, copy)


def test_weights_of_another_shape_are_one_error(make_config, copy):
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(settings | {"intermediate_size": 8}))
    with pytest.raises(ModelError, match=r"model of .* cannot be loaded"):
        load(make_config, copy)


def test_a_config_of_no_known_model_is_one_error(make_config, copy):
    (copy / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    with pytest.raises(ModelError, match=r"cannot be loaded: ValueError(.|\n)*no-such-model"):
        load(make_config, copy)


def test_a_broken_tokenizer_is_one_error(make_config, copy):
    (copy / "tokenizer.json").write_text("{")
    config = make_config(copy)
    with pytest.raises(ModelError, match="the tokenizer of"):
        load_processing(config.model, config)


def test_an_adapter_is_gone_on_with(make_config, llama, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model

    trained = get_peft_model(tiny_model("llama"), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    trained.save_pretrained(tmp_path / "adapter")
    model = load(make_config, llama, adapter=str(tmp_path / "adapter"))
    tokens = torch.arange(5)[None]
    assert torch.equal(model.eval()(tokens).logits, trained.eval()(tokens).logits)
    assert {name.split(".")[-3] for name, p in model.named_parameters() if p.requires_grad} == {"lora_A", "lora_B"}

    frozen = load(make_config, llama, {"training": False}, adapter=str(tmp_path / "adapter"))
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    with pytest.raises(ModelError, match="starts a new adapter"):
        load(make_config, llama, {"lora": LoraSection()}, adapter=str(tmp_path / "adapter"))


def test_quantisation_is_refused_before_weights_are_read(make_config, tmp_path, monkeypatch):
    import torch

    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    lora = {"lora": LoraSection(quantize="4bit")}
    with pytest.raises(ModelError, match=r"needs the package bitsandbytes(.|\n)*trainwright\[qlora\]"):
        load(make_config, tmp_path / "nowhere", lora)

    present = type(sys)("bitsandbytes")
    present.__spec__ = ModuleSpec("bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes", present)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="needs a CUDA device"):
        load(make_config, tmp_path / "nowhere", lora)


def test_a_model_lies_on_the_devices_only_where_one_process_has_them(make_config, llama, monkeypatch):
    import torch

    from trainwright.model.load import _device_map

    assert _device_map(make_config(llama)) == ("auto" if torch.cuda.is_available() else None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert _device_map(make_config(llama)) == "auto"
    assert _device_map(make_config(llama, training={"use_cpu": True})) is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert _device_map(make_config(llama)) is None


def test_loading_is_quiet_and_leaves_the_libraries_as_they_were(make_config, llama, capfd):
    from transformers.utils import logging

    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    load(make_config, llama)
    assert capfd.readouterr().err == ""
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
