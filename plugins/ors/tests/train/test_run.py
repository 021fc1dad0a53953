"""`env: ors` in real runs through the command."""

import json
import re
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import yaml
from ors_scripted import all_ended

from trainwright.cli import main
from trainwright.testing import save_tiny
from trainwright_ors.testing import FakeEnvironment, FakeServer, FakeTool, Output


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A checkpoint whose chat template knows no tools."""
    return save_tiny("llama", tmp_path_factory.mktemp("tiny") / "tiny")


def write(folder, tiny, env, **sections):
    config = {
        "method": "grpo",
        "model": str(tiny),
        "env": {"name": "ors", **env},
        "training": {
            "max_steps": 2, "per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 8,
            "logging_steps": 1, "save_strategy": "no",
        },
        "output": str(folder / "run"),
        **sections,
    }  # fmt: skip
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_run_scores_answers_on_the_server_and_ends_its_sessions(real, tiny, tmp_path):
    """A model that is shown no tools needs no template that knows them."""
    answer = {"name": "submit", "arg": "answer"}
    path = write(tmp_path, tiny, {"url": real.url, "environment": "bigenv", "answer_tool": answer})
    assert main(["train", str(path)]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["env/calls"] for line in lines if line["split"] == "train"] == [1.0, 1.0]
    assert all(line["env/reward/bigenv"] == 0.0 for line in lines if line["split"] == "train")
    assert all_ended(real, "bigenv")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    data = manifest["data"]["environment"]
    assert data["train"]["bigenv/train"] == {"tasks": 100_000, "digest": data["train"]["bigenv/train"]["digest"]}
    assert data["server"] == real.kind
    assert "trainwright-ors" in manifest["packages"]


def test_a_run_that_fails_says_why_and_ends_its_sessions(real, tiny, tmp_path, capsys):
    answer = {"name": "never", "arg": None}
    path = write(tmp_path, tiny, {"url": real.url, "environment": "brokenenv", "answer_tool": answer})
    assert main(["train", str(path)]) == 1
    said = capsys.readouterr().err
    assert "environment 'brokenenv', task train[" in said
    assert "setup boom" in said
    if real.kind == "openreward":  # ors-sdk tears nothing down whose setup failed
        assert all_ended(real, "brokenenv")


ANSWER = {"name": "submit", "arg": "answer"}
TASKS = {"train": [{"n": n} for n in range(8)], "other": [{"n": n} for n in range(8)]}


def offering(tasks=TASKS, port=0, **tool):
    """A server of our own, with a tool that takes the answer."""
    submit = FakeTool("submit", lambda given: Output("", reward=0.5, finished=True), **tool)
    server = FakeServer([FakeEnvironment("smallenv", [submit], tasks)])
    server.port = port
    return server


def short(**training):
    """A run of one task and two rollouts a step."""
    sizes = {"per_device_train_batch_size": 2, "num_generations": 2, "max_completion_length": 4, "save_steps": 1}
    return {"training": sizes | training}


def resumed(tiny, folder, server, *overrides):
    """Train two steps on a server, and resume with two more on another at the same address."""
    with offering() as first:
        env = {"url": first.url, "environment": "smallenv", "answer_tool": ANSWER}
        assert main(["train", str(write(folder, tiny, env, **short(max_steps=2)))]) == 0
    with server(port=first.port) as second:
        code = main(["resume", str(folder / "run"), "training.max_steps=4", *overrides])
        assert not second.sessions
    return code


def test_a_run_is_resumed_where_its_server_is_the_same(tiny, tmp_path):
    assert resumed(tiny, tmp_path, offering) == 0


def test_a_resumed_run_plays_the_tasks_that_were_left(tiny, tmp_path):
    def played(server):
        return Counter(request.json()["index"] for request in server.requests if request.segments == ["create"])

    env = {"environment": "smallenv", "answer_tool": ANSWER, "ahead": 0}  # no batch is read before its turn
    with offering() as server:
        path = write(tmp_path, tiny, env | {"url": server.url}, **short(max_steps=8))
        assert main(["train", str(path)]) == 0
        assert played(server) == dict.fromkeys(range(8), 2)
        server.requests.clear()
        assert main(["train", str(path), "training.max_steps=3", f"output={tmp_path / 'parts'}"]) == 0
        before = played(server)
        server.requests.clear()
        assert main(["resume", str(tmp_path / "parts"), "training.max_steps=8"]) == 0
        assert before + played(server) == dict.fromkeys(range(8), 2)


CHANGES = {
    "other tasks": (
        partial(offering, {**TASKS, "train": [{"n": 99}, *TASKS["train"][1:]]}),
        (),
        "smallenv/train.digest",
    ),
    "more tasks": (partial(offering, {**TASKS, "train": [*TASKS["train"], {"n": 8}]}), (), "tasks 8.*→.*tasks 9"),
    "other tools": (partial(offering, description="changed"), (), "tools.smallenv"),
    "split": (offering, ("env.split=other",), "env.split"),
    "indices": (offering, ("env.indices=[0,1]",), "env.indices"),
    "url": (offering, ("env.url=http://localhost:1",), "env.url"),
    "target": (offering, ("env.target=some/one",), "env.target"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_whose_tasks_have_changed_is_not_resumed_unasked(tiny, tmp_path, capsys, change):
    server, overrides, said = CHANGES[change]
    assert resumed(tiny, tmp_path, server, *overrides) == 1
    error = capsys.readouterr().err
    assert re.search(f"{said}.*changed since the run began|changed since the run began.*{said}", error), error


@pytest.mark.parametrize(
    ("env", "sections", "said"),
    [
        ({"url": "http://localhost:1", "envrionment": "a"}, {}, "envrionment"),
        ({"url": "http://localhost:1"}, {"method": "rloo"}, "environments are for the method `grpo`"),
        ({"url": "http://localhost:1", "api_key_env": "NO_SUCH_KEY"}, {}, "`NO_SUCH_KEY` is not set"),
        ({"url": "http://localhost:1", "secrets_env": {"K": "NO_SUCH"}}, {}, "`NO_SUCH` is not set"),
        ({}, {}, "give `url`, or `target`"),
    ],
)
def test_validation_finds_what_is_wrong_without_a_server(tiny, tmp_path, capsys, env, sections, said):
    assert main(["validate", str(write(tmp_path, tiny, env, **sections))]) == 1
    captured = capsys.readouterr()
    assert said in captured.out + captured.err


def test_a_good_config_is_valid_without_a_server(tiny, tmp_path):
    assert main(["validate", str(write(tmp_path, tiny, {"target": "Eigent/SETA"}))]) == 0


def test_keys_stay_out_of_what_a_run_writes(real, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_ORS_KEY", "sk-hidden-0123456789")
    env = {"url": real.url, "environment": "bigenv", "answer_tool": {"name": "submit", "arg": "answer"}}
    env |= {"api_key_env": "MY_ORS_KEY", "secrets_env": {"K": "MY_ORS_KEY"}}
    assert main(["train", str(write(tmp_path, tiny, env))]) == 0
    files = [file for file in Path(tmp_path, "run").rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if b"sk-hidden-0123456789" in file.read_bytes()]
