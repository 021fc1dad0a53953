"""The environments' examples: the local one grades what it asks for, always the same; SETA's config is valid."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from trainwright.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("ors")
    spec = importlib.util.spec_from_file_location("ors_local_server", EXAMPLES / "ors-local" / "server.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("France", 1.0),
        ("France.", 1.0),
        ("Paris, France", 1 / 2),
        ("It is in France, of course", 1 / 6),
        ("In which country is Paris?", 0.0),
        ("One word.", 0.0),
        ("Italy", 0.0),
        ("", 0.0),
    ],
)
def test_an_answer_is_graded_by_its_words(server, text, score):
    assert server.score(text, "France") == pytest.approx(score)


def test_what_needs_no_knowledge_scores_next_to_nothing(server):
    tasks = server.tasks("train")
    for text in (*server.CITIES, " ".join(server.CITIES)):
        assert sum(server.score(text, task["country"]) for task in tasks) / len(tasks) <= 1 / 16
    for task in tasks:
        assert server.score(f"In which country is {task['city']}?", task["country"]) == 0


def test_the_tasks_are_always_the_same_and_none_is_trained_and_tested_on(server):
    train, test = (server.WhichCountry.list_tasks(split) for split in ("train", "test"))
    assert (train, len(train), len(test)) == (server.tasks("train"), 64, 16)
    cities = [task["city"] for task in train + test]
    assert len(set(cities)) == 80


def test_the_configs_are_valid(monkeypatch):
    monkeypatch.setenv("OPENREWARD_API_KEY", "not-a-key")
    assert main(["validate", str(EXAMPLES / "ors-local" / "config.yaml")]) == 0
    assert main(["validate", str(EXAMPLES / "seta" / "config.yaml"), "training.use_vllm=false"]) == 0
