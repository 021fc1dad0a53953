"""Verbs that load a tokenizer or a model, as whole processes: streams, exit codes, and no noise of the libraries."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

ALONE = {"HF_HUB_OFFLINE": "1", "TRAINWRIGHT_DISABLE_PLUGINS": "*"}  # whatever else is installed beside core
pytestmark = pytest.mark.slow  # importing TRL alone takes most of ten seconds


@pytest.fixture
def tiny(config, tmp_path):
    """A config of a tiny model that lies beside it."""
    from trainwright.testing import save_tiny

    save_tiny("llama", tmp_path / "tiny")
    text = config.read_text().replace("some-hub/tiny-model", "tiny")
    config.write_text(text.replace("max_steps: 1", "max_steps: 100000, logging_steps: 1, use_cpu: true"))
    return config


def test_preview_as_json_is_nothing_but_json(command, tiny):
    done = command("preview", tiny, "--rows", "2", "--json", **ALONE)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert len(found["rows"]) == 2
    assert 0 < found["supervised"] < found["tokens"]
    text = "".join(found["rows"][0]["tokens"])
    assert "2+2" in text
    assert found["tokens"] == sum(len(row["tokens"]) for row in found["rows"])


def test_train_says_its_result_on_stdout_and_nothing_else_on_stderr_but_progress(command, tiny, tmp_path):
    done = command("train", tiny, "training.max_steps=2", **ALONE)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stderr.splitlines()] == [["step", "1/2"], ["step", "2/2"]]
    assert str(tmp_path / "run") in done.stdout
    again = command("train", tiny, **ALONE)
    assert (again.returncode, again.stdout) == (1, "")
    assert "holds another run" in again.stderr
    assert "Traceback" not in again.stderr


def test_ctrl_c_while_training_exits_with_130_and_says_how_to_resume(tiny, tmp_path):
    command = [sys.executable, "-m", "trainwright", "train", str(tiny)]
    environment = os.environ | ALONE
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        for line in process.stderr:
            if line.startswith("step 3/"):
                process.send_signal(signal.SIGINT)
                break
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert f"trainwright resume {tmp_path / 'run'}" in stderr
    assert "Traceback" not in stderr
    assert str(tmp_path / "run") in stdout
