"""Preference runs of tiny models, up to the trainer, with a cache of their own."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from trainwright.config.fields import cache_file, trl_fields

sys.path.insert(0, str(Path(__file__).parent))  # `reference_runs`, under pytest's importlib mode

ROWS, EVAL_ROWS = 12, 5

ASKS = """
import torch
from trainwright import hookimpl

methods = frozenset({"dpo", "kto"})

@hookimpl
def compute_loss(ctx):
    ratios = ctx.policy.sequence_logps(average=True) - ctx.reference.sequence_logps(average=True)
    if ctx.method == "dpo":
        return ctx.loss(torch.nn.functional.softplus(-ratios.chosen_minus_rejected()), per="pair")
    point = (ctx.policy.mismatched.sequence_logps() - ctx.reference.mismatched.sequence_logps()).detach().mean()
    sign = torch.where(ctx.batch["label"].bool(), 1.0, -1.0)
    return ctx.loss(torch.sigmoid(-sign * (ratios - 0.01 * point)), per="sequence")
"""


@pytest.fixture(scope="session")
def fields() -> Path:
    """TRL's fields, which every test's cache begins with, so that none has to read TRL for them."""
    trl_fields("dpo")
    return cache_file()


@pytest.fixture(autouse=True)
def cache(fields: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that is this test's own; returns the folder of its reference log-probabilities."""
    folder = tmp_path / "cache"
    folder.mkdir()
    shutil.copy(fields, folder)
    monkeypatch.setenv("TRAINWRIGHT_CACHE", str(folder))
    return folder / "reference"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models `tiny` and `other`, and the adapters `first` and `second` of `tiny`."""
    import peft
    import torch

    from trainwright.testing import save_tiny, tiny_model

    folder = tmp_path_factory.mktemp("models")
    save_tiny("llama", folder / "tiny")
    save_tiny("llama", folder / "other", seed=3)
    lora = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        peft.get_peft_model(tiny_model("llama"), lora).save_pretrained(folder / name)
    return folder


@pytest.fixture(autouse=True, scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An installed plugin `asks`, whose loss wants all that a reference knows; here and in child processes."""
    site = tmp_path_factory.mktemp("site")
    info = site / "asks-1.0.dist-info"
    info.mkdir()
    (site / "asks_reference.py").write_text(ASKS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: asks\nVersion: 1.0\n\n")
    (info / "entry_points.txt").write_text("[trainwright.v1.compute_loss]\nasks = asks_reference\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        yield site
    sys.modules.pop("asks_reference", None)


@pytest.fixture
def write(models: Path, tmp_path: Path) -> Callable[..., Path]:
    """`write("dpo", reference="other")` writes a config beside its data and returns its path."""
    from trainwright.testing import tiny_dataset

    def run(method: str = "dpo", *, training: dict[str, Any] | None = None, **sections: Any) -> Path:
        for name, rows, seed in (("train", ROWS, 0), ("eval", EVAL_ROWS, 5)):
            data = tiny_dataset({"dpo": "pairs", "kto": "unpaired"}[method], rows, seed=seed)
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data))
        values = {
            "max_steps": 2,
            "per_device_train_batch_size": 2,
            "logging_steps": 1,
            "save_strategy": "no",
            "precompute_ref_log_probs": True,
            "max_length": 64,
        }
        config = {
            "method": method,
            "model": str(models / "tiny"),
            "loss": "asks",
            "data": {"train": "train.jsonl", "eval": "eval.jsonl"},
            "output": str(tmp_path / "run"),
            **sections,
            "training": values | (training or {}),
        }
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in config.items() if value is not None}))
        return path

    return run


@pytest.fixture
def trainer(write: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    """`trainer("kto", loss=..., reference=...)`: the run's trainer, before training."""
    from reference_runs import make

    def run(method: str = "dpo", **sections: Any) -> Any:
        return make(write(method, **sections), tmp_path / "trainer")

    return run
