"""The manifest holds what a result depends on and no secret; drift is told key by key."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainwright.config.load import load_dict
from trainwright.errors import RunError
from trainwright.run.drift import drift, refuse_drift
from trainwright.run.machine import git_state, hardware, package_versions, peak_memory
from trainwright.run.manifest import build_manifest, read_manifest, write_manifest
from trainwright.run.scrub import scrub

HOOKS = {
    "compute_loss": {
        "participants": [
            {"name": "guard", "distribution": "trainwright-guard", "version": "2.0"},
            {"name": "trl", "distribution": "trainwright", "version": "0.1.0"},
        ]
    },
    "metrics": {"participants": [{"name": "rich", "distribution": "pluggy", "version": "1"}]},
    "validate_config": {"participants": [{"name": "rules", "distribution": "pytest", "version": "1"}]},
}


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("HF_TOKEN", "hf_environmentenvironment")
    monkeypatch.setattr(sys, "argv", ["trainwright", "train", "c.yaml", "training.hub_token=hf_commandcommand"])
    config = load_dict(
        {
            "model": str(tmp_path),
            "training": {"max_steps": 3, "learning_rate": 0.1, "hub_token": "hf_configconfigconfig"},
            "output": "runs/first",
        }
    )
    data = {"train": {"files": [{"path": "/data/rows.jsonl", "sha256": "a" * 64, "rows": 14}]}}
    made = build_manifest(config, hooks=HOOKS, template="c" * 64, data=data, seeds={"seed": 42})
    return json.loads(json.dumps(made))


def test_it_holds_what_the_result_depends_on(manifest: dict[str, Any]) -> None:
    assert manifest["config"]["training"]["learning_rate"] == 0.1
    assert {"torch", "transformers", "trl", "trainwright", "pluggy"} <= set(manifest["packages"])
    assert manifest["seeds"] == {"seed": 42}
    assert manifest["hardware"]["ranks"] == 1
    assert manifest["hooks"] == HOOKS


def test_plugins_that_take_no_part_are_left_out(manifest: dict[str, Any]) -> None:
    assert "pytest" not in manifest["packages"]


def test_it_holds_no_secret(manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest)
    assert "hf_" not in text
    assert manifest["command"] == ["trainwright", "train", "c.yaml", "training.hub_token=***"]


def test_it_is_read_as_written(manifest: dict[str, Any], tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.json", manifest)
    assert read_manifest(tmp_path / "manifest.json") == manifest


@pytest.mark.parametrize(("text", "said"), [("", "cannot be read"), ("[]", "cannot be read"), ('{"format": 9}', "9")])
def test_a_spoilt_one_is_a_message(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=said):
        read_manifest(tmp_path / "manifest.json")


def changed(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    now = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    inner = now
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return now


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("packages.torch", "1.0", "package torch changed"),
        (
            "config.training.learning_rate",
            0.5,
            "config key training.learning_rate changed since the run began: 0.1 → 0.5",
        ),
        ("config.lora", {"r": 4}, "config key lora.r changed since the run began: absent → 4"),
        ("template", None, "template changed"),
        ("data.train", {"files": [{"path": "/data/rows.jsonl", "sha256": "b" * 64, "rows": 15}]}, "files.0.rows 14"),
        ("data.eval", {"files": []}, None),
        (
            "hooks.compute_loss",
            {"participants": HOOKS["compute_loss"]["participants"][1:]},
            "who provides compute_loss",
        ),
        ("hardware.ranks", 2, "the number of ranks changed since the run began: 1 → 2"),
        ("config.training.max_steps", 30, None),
        ("config.training.save_steps", 30, None),
        ("config.output", "elsewhere", None),
        ("packages.new", "1.0", None),
        ("git", {"commit": "other"}, None),
        ("hardware.cores", 99, None),
        ("seeds", {"seed": 1}, None),
    ],
)
def test_drift(path: str, value: Any, said: str | None, manifest: dict[str, Any]) -> None:
    problems = drift(manifest, changed(manifest, path, value))
    assert len(problems) == (said is not None)
    if said:
        assert said in problems[0].message
        assert "--allow-drift" in problems[0].remedy
        assert problems[0].where.startswith("manifest.json: ")


def test_what_is_not_known_yet_is_not_compared(manifest: dict[str, Any]) -> None:
    assert drift(manifest, {"config": manifest["config"]}) == []


def test_all_drift_is_told_at_once(manifest: dict[str, Any]) -> None:
    now = changed(changed(manifest, "packages.torch", "1.0"), "template", "other")
    with pytest.raises(RunError) as caught:
        refuse_drift(manifest, now)
    assert len(caught.value.problems) == 2
    refuse_drift(manifest, manifest)


def test_git_state_of_a_working_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))  # the temporary folder may lie in a checkout
    assert git_state(tmp_path) is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *arguments], cwd=tmp_path, check=True)
    state = git_state(tmp_path)
    assert state is not None
    assert len(state["commit"]) == 40
    assert not state["dirty"]
    (tmp_path / "new").write_text("")
    assert git_state(tmp_path)["dirty"]  # type: ignore[index]


def test_facts_about_the_machine() -> None:
    assert package_versions(["no-such-distribution"]).keys() >= {"torch", "trl"}
    assert "no-such-distribution" not in package_versions(["no-such-distribution"])
    assert hardware()["cores"] >= 1
    assert peak_memory()["host"] > 2**20


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("training.hub_token=hf_abc", "training.hub_token=***"),
        ("model.init_kwargs={token: abc}", "model.init_kwargs={token: ***}"),
        ("'api_key': 'a b'", "'api_key': ***"),
        ("see https://me:pw@host/path", "see https://host/path"),
        ("got hf_abcdefghijklmnopqrst there", "got *** there"),
        ("Authorization: Bearer abc.def", "Authorization: *** ***"),
        ("pad_token: <pad>, loss=0.5, tokens: 7", "pad_token: <pad>, loss=0.5, tokens: 7"),
    ],
)
def test_scrub(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed
