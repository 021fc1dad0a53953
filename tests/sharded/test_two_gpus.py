"""Two GPUs: DDP and FSDP2 train as one GPU does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from two_ranks import RECIPES, assert_alike, prepare, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices"),
]
WAYS: dict[str, dict[str, Any]] = {
    "ddp": {},
    "fsdp2": {"fsdp": "full_shard auto_wrap", "fsdp_config": {"version": 2}},
}
ONE = {"CUDA_VISIBLE_DEVICES": "0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpus")
    prepare(folder)
    return folder


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_two_train_as_one(recipe: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    whole = train(folder, recipe, tmp_path / "whole", 1, {}, ONE)
    for name, training in WAYS.items():
        assert_alike(whole, train(folder, recipe, tmp_path / name, 2, training, {}))
