"""Runs through the command: the same training whether the reference is asked before or in each step."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reference_runs import make

from trainwright.cli import main
from trainwright.errors import RunError
from trainwright.testing import save_tiny

Numbers = list[dict[str, Any]]


@pytest.fixture
def trained(write: Callable[..., Path], tmp_path: Path) -> Callable[..., Numbers]:
    """`trained("dpo", precomputed, ...)` → the log events of a run."""

    def run(method: str, precomputed: bool, **sections: Any) -> Numbers:
        training = {"max_steps": 3, "learning_rate": 1e-2, "eval_strategy": "steps", "eval_steps": 3}
        training |= {"precompute_ref_log_probs": precomputed, **sections.pop("training", {})}
        output = tmp_path / f"run-{precomputed}"
        path = write(method, training=training, output=str(output), **sections)
        assert main(["train", str(path)]) == 0
        return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]

    return run


def assert_same(got: Numbers, expected: Numbers) -> None:
    assert [row["step"] for row in got] == [row["step"] for row in expected]
    for mine, other in zip(got, expected, strict=True):
        assert mine.keys() == other.keys()
        for name, value in other.items():
            if isinstance(value, float) and not name.startswith("time/") and "per_second" not in name:
                # a reward is a difference of sums of some 10^2 nats, whose float32 rounding is 2e-5
                assert mine[name] == pytest.approx(value, rel=1e-5, abs=2e-5), name
        if "loss" in other:
            assert mine["loss"] == pytest.approx(other["loss"], abs=1e-6)


@pytest.mark.parametrize("loss", ["asks", "trl"])
@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.parametrize("sections", [{"lora": {"r": 2, "dropout": 0.3}}, {}], ids=["lora", "full"])
def test_training_is_the_same(
    method: str, loss: str, sections: dict[str, Any], trained: Callable[..., Numbers], cache: Path
) -> None:
    live = trained(method, False, loss=loss, **sections)
    assert not cache.exists()
    assert_same(trained(method, True, loss=loss, **sections), live)
    assert len(list(cache.glob("*/seal.json"))) == (4 if method == "kto" else 2)


def test_from_the_cache_training_is_the_same_to_the_bit(trained: Callable[..., Numbers], tmp_path: Path) -> None:
    """Random numbers are drawn alike whether there was something to compute or not."""

    def reproducible() -> Numbers:
        rows = trained("dpo", True, lora={"r": 2, "dropout": 0.3})
        shutil.rmtree(tmp_path / "run-True")
        return [{name: value for name, value in row.items() if not name.startswith("time/")} for row in rows]

    assert reproducible() == reproducible()


def test_trls_own_pass_serves_its_partial_sums(trained: Callable[..., Numbers], cache: Path) -> None:
    """With `ld_alpha` TRL weighs tokens in its sums; it precomputes those itself."""
    sections = {"loss": "trl", "training": {"ld_alpha": 0.3}}
    assert_same(trained("dpo", True, **sections), trained("dpo", False, **sections))
    assert not cache.exists()


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_synced_reference_moves(method: str, trained: Callable[..., Numbers], tmp_path: Path) -> None:
    sync = {"sync_ref_model": True, "ref_model_sync_steps": 1, "ref_model_mixup_alpha": 1.0}
    losses = []
    for training in ({}, sync):
        losses.append([row["loss"] for row in trained(method, False, training=training) if "loss" in row])
        shutil.rmtree(tmp_path / "run-False")
    still, moved = losses
    assert still[0] == moved[0]
    assert still[1] != moved[1]


def test_it_is_said_what_is_done(
    trained: Callable[..., Numbers], cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained("dpo", True)
    said = capsys.readouterr().err
    assert re.search(r"reference log-probs of data\.train: 12 rows, [\d,]+ tokens in \S+, [\d,]+ tokens/s", said)
    log = (tmp_path / "run-True" / "run.log").read_text()
    assert "reference: the model as it starts" in log
    assert "reference log-probs of data.train: 12 rows" in log
    shutil.rmtree(tmp_path / "run-True")
    trained("dpo", True)
    assert f"data.train: 12 rows from {cache}" in capsys.readouterr().err


def test_rows_that_are_left_out_are_counted(
    write: Callable[..., Path], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    trainer = make(write("dpo", training={"max_length": 24}), tmp_path / "trainer")
    left = len(trainer.train_dataset)
    assert 0 < left < 12
    assert f"data.train: {12 - left} of 12 rows are left out" in caplog.text


def test_a_reference_that_gives_nan_is_named_before_training(
    write: Callable[..., Path], cache: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    broken = save_tiny("llama", tmp_path / "broken", seed=4)
    weights = load_file(broken / "model.safetensors")
    name = next(name for name in weights if "layers.1" in name)
    weights[name] = torch.full_like(weights[name], float("nan"))
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RunError, match=r"log-probability of nan for row \d+ \((chosen|rejected)\)"):
        make(write("dpo", reference=str(broken)), tmp_path / "trainer")
    assert not list(cache.glob("*/shard-*"))


def test_an_interrupted_pass_keeps_what_it_has(
    write: Callable[..., Path], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainwright.reference import compute

    path, run = write("dpo", training={"precompute_ref_batch_size": 2}), compute._run
    calls = iter([False, False, True])

    def strike(*arguments: Any) -> Any:
        if next(calls):
            raise KeyboardInterrupt
        return run(*arguments)

    monkeypatch.setattr(compute, "_run", strike)
    with pytest.raises(KeyboardInterrupt):
        make(path, tmp_path / "trainer")
    (shard,) = cache.glob("*/shard-*.npz")
    monkeypatch.setattr(compute, "_run", run)
    make(path, tmp_path / "trainer")
    assert not shard.exists()
    assert len(list(cache.glob("*/seal.json"))) == 2


def test_a_single_row_has_no_partner(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write("kto")
    (tmp_path / "eval.jsonl").write_text((tmp_path / "eval.jsonl").read_text().splitlines()[0])
    made = make(path, tmp_path / "trainer")
    (row,) = made.eval_dataset
    assert list(made.data_collator([row])["ref_token_logps"]) == ["own"]
    assert list(made.data_collator([made.train_dataset[0]])["ref_token_logps"]) == ["own", "mismatched"]


def test_log_probabilities_of_other_tokens_are_refused(trainer: Callable[..., Any]) -> None:
    made = trainer()
    rows = [dict(made.train_dataset[index]) for index in range(2)]
    rows[0]["chosen_ids"] = rows[0]["chosen_ids"][:-1]
    with pytest.raises(RunError, match="precomputed reference log-probabilities are of sequences"):
        made.data_collator(rows)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"training": {"sync_ref_model": True}}, "`sync_ref_model` changes the reference in training"),
        (
            {"training": {"sync_ref_model": True, "precompute_ref_log_probs": False}, "lora": {"r": 2}},
            "this policy is an adapter",
        ),
        ({"training": {"ref_model_sync_steps": 2}}, "nothing reads `ref_model_sync_steps` without `sync_ref_model"),
        (
            {"training": {"precompute_ref_log_probs": False, "precompute_ref_batch_size": 2}},
            "nothing reads `precompute_ref_batch_size`",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_loaded(
    sections: dict[str, Any], expected: str, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(write("dpo", **sections))]) == 1
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("error:") == 1


def test_a_reference_of_another_vocabulary_ends_the_run_before_weights_are_loaded(
    write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainwright.model.source import Source

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("weights are loaded")

    save_tiny("qwen2.5", tmp_path / "large", vocab_size=1000)
    monkeypatch.setattr(Source, "language_model", refuse)
    assert main(["train", str(write("dpo", reference=str(tmp_path / "large")))]) == 1
    said = capsys.readouterr().err
    assert "reference.path" in said or "config.yaml:" in said
    assert "its vocabulary has 1,000 tokens, the policy's has" in said
    assert not (tmp_path / "run").exists()


def test_a_synced_reference_needs_the_policys_shape(
    write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_tiny("llama", tmp_path / "deep", num_hidden_layers=3)
    training = {"sync_ref_model": True, "precompute_ref_log_probs": False}
    assert main(["train", str(write("dpo", reference=str(tmp_path / "deep"), training=training))]) == 1
    said = capsys.readouterr().err
    assert "needs a reference of the policy's shape" in said
    assert "missing in the policy" in said
