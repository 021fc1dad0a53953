"""DeepSpeed ZeRO-3: two ranks that hold half of every parameter train as one process that holds all of them.

`nox -s zero3` runs these; DeepSpeed compiles its communication at the first start, so they are no part of `nox`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainwright.run.records import read_metrics
from trainwright.testing import save_tiny, tiny_dataset

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="needs DeepSpeed: `nox -s zero3`"),
]

ZERO3 = {
    "zero_optimization": {"stage": 3, "stage3_gather_16bit_weights_on_model_save": True},
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "zero_force_ds_cpu_optimizer": False,
}
TRAINING = {
    "max_steps": 4,
    "gradient_accumulation_steps": 2,
    "logging_steps": 1,
    "learning_rate": 1e-3,
    "max_length": 64,
    "use_cpu": True,
    "bf16": False,
    "save_strategy": "no",
}
SFT: dict[str, Any] = {"method": "sft", "loss": "chunked_nll"}
DPO: dict[str, Any] = {"method": "dpo", "loss": "sigmoid_norm"}
RECIPES: dict[str, dict[str, Any]] = {
    "sft": SFT,
    "sft, LoRA on layers and head": SFT | {"lora": {"r": 4, "target_modules": ["q_proj", "lm_head"]}},
    "dpo, a second model": DPO,
    "dpo, adapter off": DPO | {"lora": {"r": 4}},
    "dpo, precomputed": DPO | {"training": {"precompute_ref_log_probs": True}},
    "kto": {"method": "kto", "loss": "kto"},
}
DATA = {"sft": "messages", "dpo": "pairs", "kto": "unpaired"}
LOGGED = ("loss", "grad_norm", "entropy", "num_tokens", "rewards/chosen", "rewards/margins", "kl")
TOLERANCE = 2e-5
"""Relative: four Adam steps in float32 whose sums are taken in another order (the largest seen is 1.9e-6)."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zero3")
    save_tiny("llama", folder / "tiny")
    for kind in DATA.values():
        rows = tiny_dataset(kind, 24)
        (folder / f"{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "zero3.json").write_text(json.dumps(ZERO3))
    return folder


def train(folder: Path, recipe: dict[str, Any], output: Path, ranks: int) -> list[dict[str, Any]]:
    training = {**TRAINING, **recipe.get("training", {}), "per_device_train_batch_size": 4 // ranks}
    if ranks > 1:
        training["deepspeed"] = "zero3.json"
    data = {"train": f"{DATA[recipe['method']]}.jsonl"}
    config = {**recipe, "model": "tiny", "data": data, "training": training, "output": str(output)}
    path = folder / f"{output.name}.yaml"
    path.write_text(json.dumps(config))
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    env = {**os.environ, "DS_ACCELERATOR": "cpu", "TRAINWRIGHT_CACHE": str(output.parent / "cache")}
    command = [sys.executable, *launcher, "-m", "trainwright", "train", str(path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    return [row for row in read_metrics(output / "metrics.jsonl") if row["split"] == "train"]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_sharded_parameters_train_as_whole_ones(recipe: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    whole = train(folder, recipe, tmp_path / "whole", 1)
    sharded = train(folder, recipe, tmp_path / "sharded", 2)
    assert len(whole) == len(sharded) == TRAINING["max_steps"]
    for one, other in zip(whole, sharded, strict=True):
        for key in (key for key in LOGGED if key in one):
            assert other[key] == pytest.approx(one[key], rel=TOLERANCE, abs=1e-6), (one["step"], key)
