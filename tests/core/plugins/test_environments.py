"""What an environment offers reaches the run: evaluation rows, its identity in the manifest, its end."""

import json

import pytest
import yaml

from trainwright.cli import main
from trainwright.testing import save_tiny

MODULE = """
from pathlib import Path
from trainwright import hookimpl
from trainwright.hooks import Environment

class Plays:
    def reset(self, **row):
        return f" (task {{row['task']}})"

def score(completions, environments, **columns):
    if {fails}:
        raise ValueError("scoring fails")
    return [float(len(str(completion)) % 3) for completion in completions]

@hookimpl
def build_env(spec):
    from datasets import Dataset
    rows = Dataset.from_list([{{"prompt": [{{"role": "user", "content": "Q"}}], "task": n}} for n in range(4)])
    end = spec.folder / "ended"
    return Environment(
        dataset=rows, reward_functions=[score], environment_factory=Plays, eval_dataset=rows.select([0]),
        calls_tools=False, identity={{"tasks": 4, "vision": spec.vision}}, close=lambda: end.write_text("yes"),
    )
"""


@pytest.fixture
def config(tmp_path, install):
    save_tiny("llama", tmp_path / "tiny")

    def write(*, fails=False, **training):
        install("acme", {"build_env": "plays = acme_plays"}, acme_plays=MODULE.format(fails=fails))
        given = {
            "method": "grpo",
            "model": "tiny",
            "env": "plays",
            "training": {
                "max_steps": 1, "per_device_train_batch_size": 2, "num_generations": 2, "max_completion_length": 6,
                "logging_steps": 1, "save_strategy": "no", **training,
            },
            "output": str(tmp_path / "run"),
        }  # fmt: skip
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(given))
        return path

    return write


def test_an_environment_evaluates_identifies_itself_and_is_closed(config, tmp_path):
    path = config(eval_strategy="steps", eval_steps=1, per_device_eval_batch_size=2)
    assert main(["train", str(path)]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"train", "eval"} <= {line["split"] for line in lines}
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["data"]["environment"] == {"tasks": 4, "vision": False}
    assert (tmp_path / "ended").read_text() == "yes"


def test_an_environment_is_closed_when_the_run_fails(config, tmp_path):
    assert main(["train", str(config(fails=True))]) != 0
    assert (tmp_path / "ended").read_text() == "yes"
