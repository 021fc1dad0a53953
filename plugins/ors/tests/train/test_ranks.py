"""Two processes over gloo: each plays its own tasks, and what is logged is the mean of both."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
import yaml

from trainwright.testing import save_tiny
from trainwright_ors.testing import FakeEnvironment, FakeServer, FakeTool, Output

STEPS, GENERATIONS = 2, 2
WORTH = [1.0, 10.0, 100.0, 1000.0]  # of the tasks: no mean of two is that of another two


def submit(task):
    """The task's own tool, whose reward says which task was played."""
    return [FakeTool("submit", lambda given: Output("", reward=WORTH[task["n"]], finished=True))]


def test_two_ranks_play_each_task_once_and_log_the_mean_of_both(tmp_path):
    environment = FakeEnvironment("smallenv", task_tools=submit, tasks={"train": [{"n": n} for n in range(4)]})
    config = {
        "method": "grpo",
        "model": str(save_tiny("llama", tmp_path / "tiny")),
        "training": {
            "max_steps": STEPS, "per_device_train_batch_size": GENERATIONS, "num_generations": GENERATIONS,
            "max_completion_length": 4, "logging_steps": 1, "save_strategy": "no", "use_cpu": True,
            "ddp_find_unused_parameters": False,
        },
        "output": str(tmp_path / "run"),
    }  # fmt: skip
    with FakeServer([environment]) as server:
        config["env"] = {"name": "ors", "url": server.url, "answer_tool": {"name": "submit", "arg": "answer"}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "trainwright", "train"]
        done = subprocess.run(
            [sys.executable, *words, str(tmp_path / "config.yaml")],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        played = Counter(request.json()["index"] for request in server.requests if request.segments == ["create"])
        assert played == dict.fromkeys(range(4), GENERATIONS)
        assert server.executed("submit") == 4 * GENERATIONS
        assert not server.sessions
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    trained = [row for row in rows if row["split"] == "train"]
    assert [row["reward"] for row in trained] == [row["env/reward/smallenv"] for row in trained]
    assert sum(row["reward"] for row in trained) == pytest.approx(sum(WORTH) / 2)
    assert [row["env/calls"] for row in trained] == [1.0] * STEPS
