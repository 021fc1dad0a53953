"""A change of anything that log-probabilities depend on computes them again; nothing else does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reference_runs import reference_logps

from trainwright.reference.identity import folder_identity, parameters_identity
from trainwright.testing import save_tiny, tiny_model


@pytest.fixture
def made(trainer: Callable[..., Any], cache: Path) -> Callable[..., int]:
    """`made(...)` precomputes for a run, and returns how many tables it had to make."""

    def run(method: str = "dpo", **sections: Any) -> int:
        before = set(cache.glob("*/seal.json"))
        trainer(method, **sections)
        return len(set(cache.glob("*/seal.json")) - before)

    return run


@pytest.fixture
def own(models: Path, tmp_path: Path) -> Path:
    """A copy of the model `other` that a test may change."""
    return Path(shutil.copytree(models / "other", tmp_path / "own"))


def test_nothing_is_computed_twice(made: Callable[..., int]) -> None:
    assert made() == 2  # data.train, data.eval
    assert made() == 0
    assert made(training={"learning_rate": 1.0, "per_device_train_batch_size": 4, "seed": 7}) == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"training": {"max_length": 40}},
        {"training": {"truncation_mode": "keep_end", "max_length": 64}},
        {"model": {"dtype": "bfloat16"}},
        {"model": {"attn_implementation": "eager"}},
        {"model": {"init_kwargs": {"rms_norm_eps": 1e-3}}},
        {"template": "mine.jinja"},
    ],
    ids=lambda changed: next(iter(next(iter(changed.values())))) if "template" not in changed else "template",
)
def test_a_change_of_one_setting_computes_again(
    changed: dict[str, Any], made: Callable[..., int], models: Path, tmp_path: Path
) -> None:
    tokenizer = (models / "tiny" / "chat_template.jinja").read_text()
    (tmp_path / "mine.jinja").write_text(tokenizer + "{# another text that makes the same tokens #}")
    model = {"path": str(models / "tiny")}
    assert made(model=model) == 2
    if "model" in changed:
        changed = {"model": {**model, **changed["model"]}}
    assert made(**{"model": model, **changed}) == 2
    assert made(**{"model": model, **changed}) == 0


def test_a_change_of_a_row_computes_that_data_set_again(
    write: Callable[..., Path], trainer: Callable[..., Any], cache: Path, tmp_path: Path
) -> None:
    from reference_runs import make

    path = write()
    make(path, tmp_path / "trainer")
    before = set(cache.glob("*/seal.json"))
    rows = (tmp_path / "eval.jsonl").read_text()
    (tmp_path / "eval.jsonl").write_text(rows.replace('"content": "', '"content": "Well. ', 1))
    make(path, tmp_path / "trainer")
    assert len(set(cache.glob("*/seal.json")) - before) == 1


def test_other_weights_under_the_same_name_compute_again(made: Callable[..., int], own: Path) -> None:
    assert made(reference=str(own)) == 2
    assert made(reference=str(own)) == 0
    save_tiny("llama", own, seed=8)
    assert made(reference=str(own)) == 2


def test_another_adapter_under_the_same_name_computes_again(
    made: Callable[..., int], models: Path, tmp_path: Path
) -> None:
    adapter = Path(shutil.copytree(models / "first", tmp_path / "adapter"))
    sections = {"model": {"path": str(models / "tiny"), "adapter": str(adapter)}}
    assert made(**sections) == 2
    shutil.copytree(models / "second", adapter, dirs_exist_ok=True)
    assert made(**sections) == 2
    assert made() == 2  # and without any


def test_partners_of_kto_are_a_part_of_their_own(made: Callable[..., int]) -> None:
    """Another step's worth of rows pairs them anew; the rows' own log-probabilities are still those."""
    assert made("kto") == 4  # rows and mismatched rows of data.train and data.eval
    assert made("kto", training={"gradient_accumulation_steps": 3}) == 1  # mismatched rows of data.train


def test_the_same_size_and_time_is_not_the_same_file(own: Path) -> None:
    import os

    weights = own / "model.safetensors"
    before, stat = folder_identity(own), weights.stat()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = folder_identity(own)
    assert before["model.safetensors"][:2] == after["model.safetensors"][:2]
    assert before != after


def test_a_model_without_a_name_is_known_by_its_parameters() -> None:
    model, same, other = tiny_model("llama"), tiny_model("llama"), tiny_model("llama", seed=1)
    assert parameters_identity(model) == parameters_identity(same) != parameters_identity(other)
    assert parameters_identity(model) != parameters_identity(tiny_model("llama").bfloat16())


def test_a_shorter_row_is_scored_as_it_is_trained(trainer: Callable[..., Any]) -> None:
    """Truncated rows have the log-probabilities of their truncated tokens."""
    live = trainer(training={"precompute_ref_log_probs": False, "max_length": 36})
    stored = trainer(training={"max_length": 36})
    lengths = [len(logps) for logps in reference_logps(live)["own"]]
    assert lengths == [len(logps) for logps in reference_logps(stored)["own"]]
    assert sum(lengths) < sum(len(logps) for logps in reference_logps(trainer())["own"])
