"""Where a reference comes from, as the config says it; and what a reference must share with the policy."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainwright.config.load import load_dict
from trainwright.errors import ModelError
from trainwright.reference.compatible import check_reference
from trainwright.reference.plan import plan_reference
from trainwright.testing import save_tiny, tiny_tokenizer
from trainwright.trainer.methods import METHODS

FIRST = {"path": "m", "adapter": "first"}
PLANS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "model", "the model as it starts: a model of its own"),
    ({"lora": {"r": 2}}, "adapter off", "the model as it starts: the policy with its adapter off"),
    ({"model": FIRST}, "adapter copy", "the model as it starts: the policy with a copy of its adapter"),
    ({"reference": "n"}, "model", "n: a model of its own"),
    ({"reference": "m"}, "model", "the model as it starts: a model of its own"),
    ({"reference": "n", "lora": {"r": 2}}, "model", "n: a model of its own"),
    ({"reference": "m", "lora": {"r": 2}}, "adapter off", "the model as it starts: the policy with its adapter off"),
    ({"reference": "m", "model": FIRST}, "adapter off", "m: the policy with its adapter off"),
    ({"reference": FIRST, "model": FIRST}, "adapter copy", "the model as it starts: the policy with a copy of"),
    ({"reference": FIRST, "lora": {"r": 2}}, "second adapter", "m with the adapter first: the policy with that"),
    ({"reference": {"path": "m", "adapter": "second"}, "model": FIRST}, "second adapter", "m with the adapter second"),
    ({"reference": {"path": "m", "dtype": "bfloat16"}, "lora": {"r": 2}}, "model", "m: a model of its own"),
    ({"reference": {"path": "m", "revision": "v2"}, "lora": {"r": 2}}, "model", "m: a model of its own"),
    ({"reference": "m", "lora": {"r": 2, "quantize": "4bit"}}, "model", "m: a model of its own"),
    ({"lora": {"r": 2, "quantize": "4bit"}}, "adapter off", "the model as it starts: the policy with its adapter off"),
    ({"lora": {"r": 2, "bias": "lora_only"}}, "model", "the model as it starts: a model of its own"),
    ({"lora": {"r": 2, "init_kwargs": {"init_lora_weights": "pissa_niter_4"}}}, "model", "the model as it starts"),
    ({"lora": {"r": 2, "init_kwargs": {"init_lora_weights": "lora_ga"}}}, "model", "the model as it starts"),
    ({"lora": {"r": 2, "init_kwargs": {"init_lora_weights": "gaussian"}}}, "adapter off", "the model as it starts"),
]


def planned(sections: dict[str, Any], model: Any = None, *, reference_free: bool = False, method: str = "dpo") -> Any:
    config = load_dict({"method": method, "model": "m", "data": {"train": "x.jsonl"}, "output": "run", **sections})
    return plan_reference(config, METHODS[method], model or object(), reference_free=reference_free)


@pytest.mark.parametrize(("sections", "how", "text"), PLANS)
def test_the_config_decides(sections: dict[str, Any], how: str, text: str) -> None:
    plan = planned(sections)
    assert plan.how == how
    assert str(plan).startswith(text)


def test_an_adapter_that_trains_biases_leaves_no_base_behind() -> None:
    def adapted(bias: str) -> Any:
        return SimpleNamespace(peft_config={"default": SimpleNamespace(bias=bias)}, get_base_model=lambda: None)

    assert planned({"model": FIRST}, adapted("none")).how == "adapter copy"
    assert planned({"model": FIRST}, adapted("all")).how == "model"
    assert planned({"model": FIRST, "reference": "m"}, adapted("all")).how == "model"


def test_a_loss_that_asks_for_none_gets_none() -> None:
    assert planned({"lora": {"r": 2}}, reference_free=True).how == "none"
    assert planned({}, method="reward").how == "none"


# ── vocabularies ─────────────────────────────────────────────────────────────────────────────────────────────────────


def checked(policy: Path, reference: Path) -> None:
    config = load_dict(
        {
            "method": "dpo",
            "model": str(policy),
            "reference": str(reference),
            "data": {"train": "x.jsonl"},
            "output": "run",
        }
    )
    check_reference(config, tiny_tokenizer("llama"))


def test_the_same_tokens_are_fine(models: Path) -> None:
    checked(models / "tiny", models / "other")
    checked(models / "tiny", models / "tiny")


def test_rows_beyond_the_tokenizers_last_token_may_differ_in_number(models: Path, tmp_path: Path) -> None:
    save_tiny("llama", tmp_path / "padded", vocab_size=len(tiny_tokenizer("llama")) + 64)
    checked(models / "tiny", tmp_path / "padded")
    checked(tmp_path / "padded", models / "tiny")


def test_another_vocabulary_is_refused_with_both_sizes(models: Path, tmp_path: Path) -> None:
    own, rows = len(tiny_tokenizer("llama")), len(tiny_tokenizer("qwen2.5"))
    assert rows > own
    save_tiny("qwen2.5", tmp_path / "other")
    with pytest.raises(ModelError, match=rf"cannot be the reference: its vocabulary has {rows:,} .* has {own:,}"):
        checked(models / "tiny", tmp_path / "other")


def test_without_a_tokenizer_the_sizes_must_be_the_same(models: Path, tmp_path: Path) -> None:
    own = len(tiny_tokenizer("llama"))
    save_tiny("llama", tmp_path / "other", vocab_size=own + 64)
    for file in (tmp_path / "other").glob("token*"):
        file.unlink()
    with pytest.raises(ModelError, match=rf"cannot be the reference: its vocabulary has {own + 64:,} .* has {own:,}"):
        checked(models / "tiny", tmp_path / "other")


def test_another_tokenizer_of_the_same_size_is_refused_with_a_token(models: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(models / "other", tmp_path / "swapped"))
    tokenizer = other / "tokenizer.json"
    vocabulary = tiny_tokenizer("llama").get_vocab()
    first, second = sorted((word for word in vocabulary if word.isalpha() and len(word) == 1), key=vocabulary.get)[:2]
    one, two = f'"{first}": {vocabulary[first]},', f'"{second}": {vocabulary[second]},'
    text = tokenizer.read_text()
    assert one in text
    assert two in text
    swapped = text.replace(one, f'"{first}": {vocabulary[second]},').replace(two, f'"{second}": {vocabulary[first]},')
    tokenizer.write_text(swapped)
    with pytest.raises(ModelError) as caught:
        checked(models / "tiny", other)
    said = str(caught.value)
    assert f"tokenizer has {len(vocabulary):,} tokens, the policy's has {len(vocabulary):,}" in said
    assert f"{first!r} is token" in said or f"{second!r} is token" in said
    assert "reference.path" in said


def test_a_reference_without_a_tokenizer_is_known_by_its_vocabulary_alone(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = Path(shutil.copytree(models / "other", tmp_path / "bare"))
    for file in bare.glob("token*"):
        file.unlink()
    checked(models / "tiny", bare)
    assert "tokenizer is not compared" in caplog.text
