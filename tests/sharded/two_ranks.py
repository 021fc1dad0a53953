"""One recipe, trained by one process and by two: what the tests of this folder compare."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from trainwright.run.records import read_metrics
from trainwright.testing import save_tiny, tiny_dataset

TRAINING = {
    "max_steps": 4,
    "gradient_accumulation_steps": 2,
    "logging_steps": 1,
    "learning_rate": 1e-3,
    "max_length": 64,
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
EPSILON = 2**-23
TOLERANCE = 2e-5
"""Relative: four Adam steps in float32 whose sums are taken in another order (the largest seen is 1.9e-6)."""


def prepare(folder: Path) -> None:
    """Put the model and the data into a folder."""
    save_tiny("llama", folder / "tiny")
    for kind in DATA.values():
        rows = tiny_dataset(kind, 24)
        (folder / f"{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def train(
    folder: Path,
    recipe: Mapping[str, Any],
    output: Path,
    ranks: int,
    training: Mapping[str, Any],
    environment: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Train a recipe through the command, four rows a micro-batch over all ranks.

    Args:
        folder: What `prepare` filled.
        recipe: The config but for model, data and output.
        output: The run's folder.
        ranks: Processes.
        training: More of the config's `training`.
        environment: Variables besides those of this process.

    Returns:
        What was logged of training, a step each.
    """
    values = {**TRAINING, **recipe.get("training", {}), **training, "per_device_train_batch_size": 4 // ranks}
    data = {"train": f"{DATA[recipe['method']]}.jsonl"}
    config = {**recipe, "model": "tiny", "data": data, "training": values, "output": str(output)}
    path = folder / f"{output.name}.yaml"
    path.write_text(json.dumps(config))
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    env = {**os.environ, "TRAINWRIGHT_CACHE": str(output.parent / "cache"), **environment}
    command = [sys.executable, *launcher, "-m", "trainwright", "train", str(path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    return [row for row in read_metrics(output / "metrics.jsonl") if row["split"] == "train"]


def assert_alike(whole: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    """Every step logged the same, but for the order of sums.

    A reward is a difference of two log-probabilities, whose last digits are all that is left of it at the first steps.
    """
    assert len(whole) == len(others) == TRAINING["max_steps"]
    for one, other in zip(whole, others, strict=True):
        size = max(abs(one.get(f"logps/{kind}", 1.0)) for kind in ("chosen", "rejected"))
        for key in (key for key in LOGGED if key in one):
            assert other[key] == pytest.approx(one[key], rel=TOLERANCE, abs=16 * EPSILON * size), (one["step"], key)
