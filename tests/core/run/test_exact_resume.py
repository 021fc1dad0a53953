"""Killed at any moment and resumed, a run equals the one that nobody disturbed, exactly, on the CPU."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from trainwright.run.folder import STAGING
from trainwright.run.metrics_file import read_metrics
from trainwright.run.seal import survey

RECIPES: dict[str, dict[str, Any]] = {
    "lora, eval and log each epoch": {"lora": True, "training": {"eval_strategy": "epoch"}},
    "full, eval between saves": {"training": {"eval_strategy": "steps", "eval_steps": 4, "eval_on_start": True}},
    "grouped by length, saved each epoch": {
        "training": {"train_sampling_strategy": "group_by_length", "save_strategy": "epoch", "logging_steps": 3}
    },
    "stops within an epoch": {"training": {"max_steps": 6, "save_steps": 5, "eval_strategy": "epoch"}},
}


def reproducible(output: Path) -> list[dict[str, Any]]:
    rows = read_metrics(output / "metrics.jsonl")
    return [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]


def weights(output: Path) -> bytes:
    return next((output / "model").glob("*model.safetensors")).read_bytes()


@pytest.fixture(scope="module")
def whole(launch: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    done: dict[str, Path] = {}

    def get(recipe: str) -> Path:
        if recipe not in done:
            done[recipe] = tmp_path_factory.mktemp("whole") / "run"
            answer = launch(done[recipe], **RECIPES[recipe])
            assert answer["code"] == 0, answer["text"]
        return done[recipe]

    return get


@pytest.mark.parametrize(
    ("recipe", "moments"),
    [
        ("lora, eval and log each epoch", [["step", 2], ["step", 5], ["log", 8]]),
        ("lora, eval and log each epoch", [["step", 4], ["half saved", 6], ["end", 8]]),
        ("full, eval between saves", [["half saved", 3], ["step", 7]]),
        ("grouped by length, saved each epoch", [["step", 6], ["step", 7]]),
        ("stops within an epoch", [["step", 6], ["save", 6]]),
    ],
)
def test_killed_and_resumed_equals_uninterrupted(
    recipe: str, moments: list[Any], launch: Any, whole: Any, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    for moment in moments:
        answer = launch(output, at=moment, **RECIPES[recipe])
        assert answer["code"] == -signal.SIGKILL, answer["text"]
    answer = launch(output, **RECIPES[recipe])
    assert answer["code"] == 0, answer["text"]
    assert reproducible(output) == reproducible(whole(recipe))
    assert weights(output) == weights(whole(recipe))


@pytest.mark.parametrize("step", [2, 4, 5])
def test_interrupted_and_resumed_equals_uninterrupted(step: int, launch: Any, whole: Any, tmp_path: Path) -> None:
    recipe, output = RECIPES["lora, eval and log each epoch"], tmp_path / "run"
    answer = launch(output, at=["step", step], signal="SIGINT", **recipe)
    assert answer["code"] == 0, answer["text"]
    assert f"interrupted {step}" in answer["text"]
    assert f"trainwright resume {output}" in answer["text"]
    assert (output / "checkpoints" / f"checkpoint-{step}").is_dir()
    answer = launch(output, **recipe)
    assert "finished 8" in answer["text"]
    assert reproducible(output) == reproducible(whole("lora, eval and log each epoch"))
    assert weights(output) == weights(whole("lora, eval and log each epoch"))


def test_an_interrupt_saves_even_where_only_the_best_are_saved(launch: Any, tmp_path: Path) -> None:
    training = {"save_strategy": "best", "metric_for_best_model": "loss", "eval_strategy": "steps", "eval_steps": 1}
    answer = launch(tmp_path / "run", at=["step", 4], signal="SIGTERM", training={**training, "learning_rate": 1.0})
    assert "interrupted 4" in answer["text"], answer["text"]
    assert (tmp_path / "run/checkpoints/checkpoint-4/trainwright.json").is_file()


def test_a_half_written_checkpoint_has_no_name_of_its_own(launch: Any, tmp_path: Path) -> None:
    answer = launch(tmp_path / "run", at=["half saved", 6])
    assert answer["code"] == -signal.SIGKILL, answer["text"]
    checkpoints = tmp_path / "run" / "checkpoints"
    whole, flawed = survey(checkpoints)
    assert [path.name for path in whole] == ["checkpoint-3"]
    assert flawed == {checkpoints / STAGING / "checkpoint-6": "it has no seal: writing it was not finished"}
    assert sorted(path.name for path in checkpoints.iterdir()) == [STAGING, "checkpoint-3"]


def test_the_best_checkpoint_is_recorded_by_its_final_name(launch: Any, tmp_path: Path) -> None:
    training = {"eval_strategy": "steps", "eval_steps": 3, "load_best_model_at_end": True, "save_total_limit": 1}
    answer = launch(tmp_path / "run", training=training)
    assert answer["code"] == 0, answer["text"]
    checkpoints = tmp_path / "run" / "checkpoints"
    state = (checkpoints / "checkpoint-8" / "trainer_state.json").read_text()
    assert STAGING not in state
    assert f'"best_model_checkpoint": "{checkpoints}/checkpoint-8"' in state
