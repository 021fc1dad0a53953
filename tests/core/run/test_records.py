"""Lines of metrics.jsonl are valid JSON, whatever was logged."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from trainwright.errors import RunError
from trainwright.run.folder import RunFolder
from trainwright.run.metrics_file import MetricsFile
from trainwright.run.records import read_metrics, record


def line(logs: dict[str, Any]) -> dict[str, Any]:
    return record(logs, step=3, epoch=0.5, seconds=1.23456)


def test_timings_stand_apart() -> None:
    given = {"loss": 1.0, "save_runtime": 2.0, "train_steps_per_second": 3, "step_time": 4, "time/tokens_per_second": 5}
    assert line(given) == {
        "step": 3,
        "epoch": 0.5,
        "split": "train",
        "loss": 1.0,
        "time/save_runtime": 2.0,
        "time/train_steps_per_second": 3,
        "time/step_time": 4,
        "time/tokens_per_second": 5,
        "time/elapsed": 1.235,
    }


@pytest.mark.parametrize(
    ("logs", "split"),
    [({"loss": 1.0}, "train"), ({"eval_loss": 1.0}, "eval"), ({"train_runtime": 1.0, "train_loss": 1.0}, "summary")],
)
def test_splits(logs: dict[str, float], split: str) -> None:
    assert line(logs)["split"] == split


def test_only_numbers_are_kept_and_tensors_become_numbers() -> None:
    kept = line({"a": torch.tensor(1.5), "b": None, "c": "text", "d": True, "epoch": 9})
    assert kept == {"step": 3, "epoch": 0.5, "split": "train", "a": 1.5, "d": True, "time/elapsed": 1.235}


def test_numbers_that_are_not_finite_survive(tmp_path: Path) -> None:
    logs = {"a": float("nan"), "b": float("inf"), "c": float("-inf"), "d": torch.tensor(float("nan"))}
    text = json.dumps(line(logs), allow_nan=False)
    (tmp_path / "metrics.jsonl").write_text(text + "\n")
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert math.isnan(row["a"])
    assert math.isnan(row["d"])
    assert (row["b"], row["c"], row["split"]) == (math.inf, -math.inf, "train")


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "split": "train"}\n{"step": 2, "spl')
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1]
    assert read_metrics(tmp_path / "none.jsonl") == []


def test_a_file_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    run = RunFolder.claim(tmp_path / "run", "")
    run.metrics.mkdir()
    with pytest.raises(RunError, match="step 4 of the metrics could not be written"):
        MetricsFile(run).on_log(None, SimpleNamespace(global_step=4, epoch=1.0), None, logs={"loss": 1.0})


def test_another_rank_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    run = RunFolder(tmp_path)
    MetricsFile(run).on_log(None, SimpleNamespace(global_step=4, epoch=1.0), None, logs={"loss": 1.0})
    assert not run.metrics.exists()
