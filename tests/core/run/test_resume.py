"""`trainwright train` and `trainwright resume`, killed, stopped, changed and made longer."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

from trainwright.run.records import read_metrics

TRAINING = {
    "num_train_epochs": 2,  # of 4 steps
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "logging_steps": 2,
    "save_steps": 3,
    "learning_rate": 1e-2,
    "eval_strategy": "epoch",
    "max_length": 64,
}
Command = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from trainwright.testing import save_tiny

    return save_tiny("llama", tmp_path_factory.mktemp("model"))


@pytest.fixture
def command(launch: Any, model: Path, tmp_path: Path) -> Command:
    """`command("train", "config.yaml", at=["step", 5])`; the config and its data are in `tmp_path`."""
    words = "the cat sat on a mat while one or two dogs ran over hills".split()  # noqa: SIM905
    rows = [
        {"prompt": " ".join(words[i % 5 : i % 5 + 3]), "completion": " ".join(words[i % 7 : i % 7 + 2 + i % 4])}
        for i in range(14)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {
        "model": str(model),
        "data": {"train": str(tmp_path / "rows.jsonl"), "eval": str(tmp_path / "rows.jsonl")},
        "lora": {"r": 2, "dropout": 0.3},
        "training": TRAINING,
        "answers": {"data": {"path": str(tmp_path / "rows.jsonl"), "limit": 2}, "max_new_tokens": 2},
    }

    def run(
        verb: str, name: str, *more: str, loss: str = "trl", changes: dict[str, Any] | None = None, **wanted: Any
    ) -> dict[str, Any]:
        if verb == "train":
            written = {**config, "loss": loss, "output": str(tmp_path / name), **(changes or {})}
            (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(written))
        target = tmp_path / (f"{name}.yaml" if verb == "train" else name)
        return launch(tmp_path / "log", argv=[verb, str(target), *more], **wanted)

    return run


def reproducible(output: Path) -> list[dict[str, Any]]:
    rows = read_metrics(output / "metrics.jsonl")
    return [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]


def losses() -> list[str]:
    installed = {point.name for point in entry_points(group="trainwright.v1.compute_loss")}
    return [name for name in ("trl", "chunked_nll") if name in installed]


@pytest.mark.parametrize("loss", losses())
def test_killed_before_and_after_a_checkpoint_it_equals_uninterrupted(
    loss: str, command: Command, tmp_path: Path
) -> None:
    answer = command("train", "whole", loss=loss)
    assert answer["code"] == 0, answer["text"]
    assert command("train", "run", loss=loss, at=["step", 2])["code"] == -signal.SIGKILL
    answer = command("resume", "run", at=["step", 8])
    assert answer["code"] == -signal.SIGKILL, answer["text"]
    answer = command("resume", "run")
    assert answer["code"] == 0, answer["text"]
    assert reproducible(tmp_path / "run") == reproducible(tmp_path / "whole")
    whole, run = (json.loads((tmp_path / name / "answers.json").read_text()) for name in ("whole", "run"))
    assert run == whole
    assert set(run) == {"before", "after"}
    resumed = json.loads((tmp_path / "run/manifest.json").read_text())["resumed"]
    assert [(each["step"], each["drift"]) for each in resumed] == [(0, []), (6, [])]


def test_roll_outs_go_on_within_a_generation_and_an_epoch(command: Command, tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text(
        "def length(completions, **_):\n    return [len(text) % 7 for text in completions]\n"
    )
    grpo = {
        "method": "grpo",
        "rewards": [f"{tmp_path}/rewards.py:length"],
        "data": {"train": {"path": str(tmp_path / "rows.jsonl"), "limit": 6}},
        "training": {
            "per_device_train_batch_size": 2,
            "num_generations": 2,
            "steps_per_generation": 3,
            "max_completion_length": 4,
            "num_train_epochs": 2,  # of 6 steps
            "logging_steps": 3,
            "save_steps": 2,
        },
    }
    answer = command("train", "whole", changes=grpo)
    assert answer["code"] == 0, answer["text"]
    answer = command("train", "run", changes=grpo, at=["step", 10])
    assert answer["code"] == -signal.SIGKILL, answer["text"]
    answer = command("resume", "run")
    assert answer["code"] == 0, answer["text"]
    assert reproducible(tmp_path / "run") == reproducible(tmp_path / "whole")


def test_stopped_continued_made_longer_and_changed(command: Command, tmp_path: Path) -> None:
    answer = command("train", "run", at=["step", 5], signal="SIGINT")
    assert answer["code"] == 130, answer["text"]
    assert f"trainwright resume {tmp_path}/run" in answer["text"]
    assert json.loads((tmp_path / "run/result.json").read_text())["interrupted"]
    assert command("resume", "run")["code"] == 0

    answer = command("resume", "run")
    assert answer["code"] == 1
    assert "has ended after 8 steps" in answer["text"]
    longer = "training.num_train_epochs=3"
    answer = command("resume", "run", longer)
    assert answer["code"] == 0, answer["text"]
    assert max(row["step"] for row in reproducible(tmp_path / "run")) == 12
    assert "num_train_epochs: 3" in (tmp_path / "run/config.yaml").read_text()

    answer = command("resume", "run", "training.learning_rate=0.5")
    assert answer["code"] == 1
    assert "config key training.learning_rate changed since the run began: 0.01 → 0.5" in answer["text"]


def test_data_that_changed_is_refused_unless_allowed(command: Command, tmp_path: Path) -> None:
    assert command("train", "run", at=["step", 5])["code"] == -signal.SIGKILL
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"prompt": "one more", "completion": "row"}\n')
    before = (tmp_path / "run/metrics.jsonl").read_text()
    answer = command("resume", "run")
    assert answer["code"] == 1
    assert "the data of train changed since the run began" in answer["text"]
    assert "--allow-drift" in answer["text"]
    assert (tmp_path / "run/metrics.jsonl").read_text() == before
    answer = command("resume", "run", "--allow-drift")
    assert answer["code"] == 0, answer["text"]
    (resumed,) = json.loads((tmp_path / "run/manifest.json").read_text())["resumed"]
    assert any(note.startswith("the data of train") for note in resumed["drift"])


def test_a_folder_that_holds_a_run_is_not_trained_into(command: Command, tmp_path: Path) -> None:
    assert command("train", "run", at=["step", 1])["code"] == -signal.SIGKILL
    answer = command("train", "run")
    assert answer["code"] == 1
    assert f"{tmp_path}/run holds another run" in answer["text"]
    assert f"`trainwright resume {tmp_path}/run`" in answer["text"]


def test_where_there_is_no_run_it_says_so(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = command("resume", "empty")
    assert answer["code"] == 1
    assert "holds no run that can be resumed" in answer["text"]
    assert list((tmp_path / "empty").iterdir()) == []
