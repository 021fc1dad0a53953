"""Killed at any moment and resumed, a run equals the one that nobody disturbed, exactly, on the CPU."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from trainwright.run.folder import STAGING
from trainwright.run.records import read_metrics
from trainwright.run.seal import survey

RECIPES: dict[str, dict[str, Any]] = {
    "lora": {"lora": True, "training": {"eval_strategy": "epoch", "save_steps": 2, "logging_steps": 3}},
    "full": {"training": {"eval_strategy": "steps", "eval_steps": 4, "eval_on_start": True}},
    "by length": {"training": {"train_sampling_strategy": "group_by_length"}},
    "by epoch": {"training": {"save_strategy": "epoch", "logging_strategy": "epoch", "eval_strategy": "epoch"}},
    "partial epoch": {"training": {"max_steps": 6, "save_steps": 5, "eval_strategy": "epoch"}},
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
        ("lora", [["step", 2], ["save", 4], ["step", 5], ["half saved", 8]]),
        ("full", [["half saved", 3], ["step", 7], ["end", 8]]),
        ("by length", [["step", 5], ["step", 7]]),
        ("by epoch", [["step", 6]]),
        ("partial epoch", [["step", 6], ["save", 6]]),
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


@pytest.mark.parametrize("step", [4, 5])
def test_interrupted_and_resumed_equals_uninterrupted(step: int, launch: Any, whole: Any, tmp_path: Path) -> None:
    recipe, output = RECIPES["lora"], tmp_path / "run"
    answer = launch(output, at=["step", step], signal="SIGINT", **recipe)
    assert answer["code"] == 0, answer["text"]
    assert f"interrupted {step}" in answer["text"]
    assert f"trainwright resume {output}" in answer["text"]
    assert (output / "checkpoints" / f"checkpoint-{step}").is_dir()
    answer = launch(output, **recipe)
    assert "finished 8" in answer["text"]
    assert reproducible(output) == reproducible(whole("lora"))
    assert weights(output) == weights(whole("lora"))


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
