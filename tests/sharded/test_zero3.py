"""DeepSpeed ZeRO-3: two ranks that hold half of every parameter train as one process that holds all of them.

`nox -s zero3` runs these; DeepSpeed compiles its communication at the first start, so they are no part of `nox`.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from two_ranks import RECIPES, assert_alike, prepare, train

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
ON_CPU = {"DS_ACCELERATOR": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zero3")
    prepare(folder)
    (folder / "zero3.json").write_text(json.dumps(ZERO3))
    return folder


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_sharded_parameters_train_as_whole_ones(recipe: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    whole = train(folder, recipe, tmp_path / "whole", 1, {"use_cpu": True}, ON_CPU)
    sharded = train(folder, recipe, tmp_path / "sharded", 2, {"use_cpu": True, "deepspeed": "zero3.json"}, ON_CPU)
    assert_alike(whole, sharded)
