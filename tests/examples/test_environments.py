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
        ("cat, hat, saw, egg", 1.0),
        ("Egg hat cat saw.", 1.0),
        ("cat, hat, saw, egg, dog", 8 / 9),
        ("cat, cat, cat, cat", 1 / 4),
        ("dog", 0.0),
        ("", 0.0),
    ],
)
def test_an_answer_is_graded_by_its_words(server, text, score):
    assert server.score(text, ["cat", "dog", "hat", "saw", "egg"], "dog") == pytest.approx(score)


def test_the_tasks_are_always_the_same_and_can_be_solved(server):
    for split, size in server.SIZES.items():
        tasks = server.LeaveOut.list_tasks(split)
        server._tasks.cache_clear()
        assert tasks == server.LeaveOut.list_tasks(split)
        assert len(tasks) == size
        for task in tasks:
            right = [word for word in task["words"] if word != task["leave_out"]]
            assert len(set(right)) == 4
            assert server.score(", ".join(right), **task) == 1.0


def test_the_configs_are_valid(monkeypatch):
    monkeypatch.setenv("OPENREWARD_API_KEY", "not-a-key")
    assert main(["validate", str(EXAMPLES / "ors-local" / "config.yaml")]) == 0
    assert main(["validate", str(EXAMPLES / "seta" / "config.yaml"), "training.use_vllm=false"]) == 0
