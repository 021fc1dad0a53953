"""Two ranks: they agree on when to stop, one file each for what each knows alone, and resume as one does."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from trainwright.run.records import read_metrics

# Four steps of two ranks an epoch and two epochs: the checkpoint of step 6 is in the middle of the second one.
TWO: dict[str, Any] = {
    "ranks": 2,
    "lora": True,
    "training": {"per_device_train_batch_size": 1, "ddp_find_unused_parameters": False},
}


def reproducible(output: Path) -> list[dict[str, Any]]:
    rows = read_metrics(output / "metrics.jsonl")
    return [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]


def test_two_ranks_killed_and_resumed_equal_uninterrupted(launch: Any, tmp_path: Path) -> None:
    answer = launch(tmp_path / "whole", resumed=False, **TWO)
    assert answer["code"] == 0, answer["text"]
    answer = launch(tmp_path / "run", resumed=False, at=["step", 7], **TWO)
    assert answer["code"] == -signal.SIGKILL, answer["text"]
    checkpoint = tmp_path / "run/checkpoints/checkpoint-6"
    assert {path.name for path in checkpoint.glob("trainwright_state_*")} == {
        "trainwright_state_0.pt",
        "trainwright_state_1.pt",
    }
    answer = launch(tmp_path / "run", **TWO)
    assert answer["code"] == 0, answer["text"]
    assert reproducible(tmp_path / "run") == reproducible(tmp_path / "whole")


def test_a_signal_to_one_rank_stops_both_at_one_step(launch: Any, tmp_path: Path) -> None:
    answer = launch(tmp_path / "run", resumed=False, at=["step", 4], signal="SIGTERM", strikes=1, **TWO)
    assert answer["code"] == 0, answer["text"]
    assert "interrupted 5" in answer["text"]  # the step after: nobody waits for the others' answer
    assert (tmp_path / "run/checkpoints/checkpoint-5/trainwright.json").is_file()
