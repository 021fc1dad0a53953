"""`trainwright env show|try`, as whole processes, against both real servers and a hostile one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def env():
    """Run `trainwright env ...`; keywords are environment variables."""

    def run(*words, typed="", **variables):
        return subprocess.run(
            [sys.executable, "-m", "trainwright", "env", *map(str, words)],
            input=typed, text=True, capture_output=True, timeout=120, env=os.environ | variables,
        )  # fmt: skip

    return run


def test_show_lists_environments_splits_tools_and_tasks(env, real):
    done = env("show", real.url, "--environment", "MathEnv", "--tasks", 2)
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.startswith(real.kind)
    assert "mathenv" in lines
    assert any(line.startswith("  tool   add(a: integer, b: integer = 1)") for line in lines)
    (train,) = (number for number, line in enumerate(lines) if line == "  split  train, tasks: 5")
    tasks = [json.loads(line.split(maxsplit=1)[1]) for line in lines[train + 1 : train + 3]]
    assert [(task["a"], task["b"]) for task in tasks] == [(0, 0), (1, 10)]
    assert lines[train + 3] == "  split  hard (test), tasks: 2"


def test_show_as_json_has_the_schemas_verbatim(env, real):
    done = env("show", real.url, "--environment", "mathenv", "--json", "--tasks", 1)
    found = json.loads(done.stdout)
    assert found["server"]["generation"] == real.kind
    (environment,) = found["environments"]
    tools = {tool["name"]: tool["input_schema"] for tool in environment["tools"]}
    assert tools["add"]["required"] == ["a"]
    assert [(split["name"], split["num_tasks"], len(split["tasks"])) for split in environment["splits"]] == [
        ("train", 5, 1),
        ("hard", 2, 1),
    ]


def test_an_episode_is_played_from_the_input_and_its_session_ended(env, real):
    typed = 'add {"a": 2, "b": 3}\nadd {"a": }\n/tools\nnope {}\nadd {"b": 1}\n/say hello\nadd {"a": 40}\n'
    done = env("try", real.url, "--environment", "mathenv", "--index", 3, typed=typed)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "environment 'mathenv', task train[3]"
    assert {"5", "41", "this task has no tool that takes a plain message"} <= set(lines)
    assert any(line.startswith("the arguments are not JSON") for line in lines)
    assert sum(line.startswith("failed:") for line in lines) == 2
    assert lines[-1].startswith("not finished after ")
    assert real.all_gone()


def test_the_end_of_an_episode_ends_the_play(env, real):
    typed = 'submit {"answer": "1"}\nsubmit {"answer": "1"}\n'
    done = env("try", real.url, "--environment", "mathenv", typed=typed)
    assert done.returncode == 0
    assert done.stdout.count("finished]") == 1
    assert done.stdout.splitlines()[-1] == "finished after 1 call; rewards 0; sum 0"


def test_a_plain_message_goes_to_the_terminal_tool(env, openreward_server):
    done = env("try", openreward_server.url, "--environment", "terminalenv", typed="/say yes\n")
    assert done.returncode == 0
    assert "submit takes a plain message" in done.stdout
    assert done.stdout.splitlines()[-1] == "finished after 1 call; rewards 1; sum 1"


def test_a_server_that_is_not_there_is_told(env):
    done = env("show", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_variables_that_are_missing_are_usage_errors(env):
    done = env("show", "http://127.0.0.1:9", "--api-key-env", "NOBODY_SET_THIS")
    assert done.returncode == 2
    assert "NOBODY_SET_THIS" in done.stderr
    assert env("try", "http://127.0.0.1:9", "--secret-env", "TOKEN").returncode == 2


def test_a_secret_reaches_the_environment_and_is_not_printed(env, real):
    done = env("try", real.url, "--environment", "secretenv", "--secret-env", "TOKEN=MINE", typed="leak\n",
               MINE="a-long-secret-value")  # fmt: skip
    assert done.returncode == 0
    assert '{"TOKEN": "***"}' in done.stdout
    assert "a-long-secret-value" not in done.stdout + done.stderr
