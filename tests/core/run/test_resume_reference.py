"""Killed and resumed, a preference run goes on with its reference: a kept adapter, a synced model, a cache."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from trainwright.config.fields import cache_file, trl_fields
from trainwright.run.records import read_metrics
from trainwright.testing import save_tiny, tiny_dataset, tiny_model
from trainwright.trainer.private import load_trained_adapter

TRAINING = {
    "max_steps": 6,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "logging_steps": 1,
    "save_steps": 2,
    "learning_rate": 1e-2,
    "max_length": 64,
}
LORA = {"lora": {"r": 2, "dropout": 0.2}}
SYNC = {"sync_ref_model": True, "ref_model_sync_steps": 1, "ref_model_mixup_alpha": 0.3}
RECIPES: dict[str, dict[str, Any]] = {
    "an adapter that goes on": {"model": {"path": "tiny", "adapter": "adapter"}},
    "an adapter beside a new one": {**LORA, "reference": {"path": "tiny", "adapter": "adapter"}},
    "a synced model": {"training": {**TRAINING, **SYNC}},
    "precomputed": {**LORA, "training": {**TRAINING, "precompute_ref_log_probs": True}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import peft

    folder = tmp_path_factory.mktemp("resume")
    save_tiny("llama", folder / "tiny")
    lora = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    peft.get_peft_model(tiny_model("llama"), lora).save_pretrained(folder / "adapter")
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tiny_dataset("pairs", 14)))
    return folder


def reproducible(output: Path) -> list[dict[str, Any]]:
    rows = read_metrics(output / "metrics.jsonl")
    return [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]


def weights(output: Path) -> bytes:
    return next((output / "model").glob("*model.safetensors")).read_bytes()


def test_an_adapter_beside_another_is_loaded_with_what_it_learnt(tmp_path: Path) -> None:
    import peft

    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    model = peft.get_peft_model(tiny_model("llama"), config)
    model.add_adapter("ref", config)
    model.save_pretrained(tmp_path)
    learnt = {name: value.clone() for name, value in model.named_parameters() if ".lora_" in name}
    for name in learnt:
        model.get_parameter(name).data.zero_()
    load_trained_adapter(model, tmp_path)
    for name, value in learnt.items():
        parameter = model.get_parameter(name)
        trained = ".default." in name
        assert bool((parameter == value).all()) == trained, name
        assert parameter.requires_grad == trained, name
    assert model.active_adapters == ["default"]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_killed_and_resumed_equals_uninterrupted(recipe: str, folder: Path, launch: Any, tmp_path: Path) -> None:
    def ask(verb: str, name: str, **wanted: Any) -> dict[str, Any]:
        target = folder / "c.yaml" if verb == "train" else tmp_path / name
        more = [f"output={tmp_path / name}"] if verb == "train" else []
        return launch(
            tmp_path / "log", argv=[verb, str(target), *more], env={"TRAINWRIGHT_CACHE": str(cache)}, **wanted
        )

    cache = tmp_path / "cache"
    cache.mkdir()
    trl_fields("dpo")
    shutil.copy(cache_file(), cache)  # so that nobody has to read TRL's fields anew

    config = {"method": "dpo", "model": "tiny", "data": {"train": "pairs.jsonl"}, "training": TRAINING, "output": "x"}
    (folder / "c.yaml").write_text(yaml.safe_dump(config | RECIPES[recipe]))
    answer = ask("train", "whole")
    assert answer["code"] == 0, answer["text"]
    answer = ask("train", "parts", at=["step", 4])
    assert answer["code"] == -signal.SIGKILL, answer["text"]
    answer = ask("resume", "parts")
    assert answer["code"] == 0, answer["text"]
    assert reproducible(tmp_path / "parts") == reproducible(tmp_path / "whole")
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
