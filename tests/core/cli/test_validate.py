"""`validate` and `schema`, as whole processes."""

from __future__ import annotations

import json

import pytest

BROKEN = "import a_package_that_nobody_has\n"


def plan(stdout):
    """The printed plan: name → text."""
    first, *lines = stdout.splitlines()
    assert first.endswith("good.yaml is fine. A run of it:")
    return {name: text.strip() for name, _, text in (line.strip().partition(" ") for line in lines)}


def test_a_good_config_says_what_a_run_would_do(command, config, tmp_path):
    done = command("validate", config, "lora.r=8", "data.eval=data.jsonl", "--no-plugin", "file")
    assert done.returncode == 0, done.stderr
    assert plan(done.stdout) == {
        "method": "sft (trl.trainer.SFTTrainer)",
        "model": "some-hub/tiny-model, float32",
        "adapter": "LoRA of rank 8, all-linear",
        "train": f"{tmp_path / 'data.jsonl'}, 270 bytes",
        "eval": f"{tmp_path / 'data.jsonl'}, 270 bytes",
        "loss": "trl (trainwright 0.1.0)",
        "template": "auto (trainwright 0.1.0)",
        "output": "run",
    }


def test_validate_leaves_nothing_behind(command, config, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    command("validate", config)
    assert sorted(tmp_path.rglob("*")) == before


def test_every_problem_at_once_of_file_command_line_plugins_and_data(command, config, tmp_path):
    (tmp_path / "data.jsonl").write_text('{"messages": []\n')
    config.write_text(config.read_text().replace("max_steps", "max_step") + "los: trl\n")
    done = command("validate", config, "template=nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    head, *lines = done.stderr.splitlines()
    assert head == "error: 4 problems"
    numbered = [line for line in lines if line[0].isdigit()]
    assert len(numbered) == 4
    for place in ("good.yaml:6: los: ", "good.yaml:4: training.max_step: ", "command line: template: ", "data.jsonl:1"):
        assert sum(place in line for line in numbered) == 1, place
    assert any(line.strip() == "→ Did you mean `max_steps`?" for line in lines)


def test_wrong_switches_do_not_hide_the_problems_of_the_file(command, config):
    done = command("validate", config, "los=trl", "--no-plugin", "nobody")
    assert done.returncode == 1
    assert done.stderr.startswith("error: 2 problems\n1. command line: los: ")
    assert "2. --no-plugin: there is no plugin 'nobody' to disable" in done.stderr


@pytest.mark.parametrize("text", ["", "method: [", "- a\n- b\n"], ids=["empty", "broken", "a list"])
def test_what_is_no_config_at_all(command, config, text):
    config.write_text(text)
    done = command("validate", config)
    assert (done.returncode, done.stdout) == (1, "")
    assert "good.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_config_that_does_not_exist(command):
    done = command("validate", "nowhere.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nowhere.yaml" in done.stderr


def test_a_broken_plugin_that_the_config_does_not_use_is_a_warning(command, config, install):
    site = install("cracked", BROKEN)
    done = command("validate", config, PYTHONPATH=site)
    assert done.returncode == 0
    assert "warning: plugin 'cracked' (acme-cracked 1.0) is set aside as broken" in done.stderr
    assert "Traceback" not in done.stderr
    assert "cracked" not in command("validate", config, PYTHONPATH=site, RANK="1").stderr, "one rank says it"
    assert "cracked" not in command("validate", config, "--no-plugin", "cracked", PYTHONPATH=site).stderr


def test_a_broken_plugin_that_the_config_uses_is_an_error(command, config, install):
    done = command("validate", config, "metrics=[cracked]", PYTHONPATH=install("cracked", BROKEN))
    assert (done.returncode, done.stdout) == (1, "")
    assert "plugin 'cracked' (acme-cracked 1.0) is broken" in done.stderr


def test_schema_on_stdout_and_in_a_file_are_the_same(command, tmp_path):
    printed = command("schema")
    assert printed.returncode == 0, printed.stderr
    written = command("schema", "--output", "schema.json")
    assert (written.returncode, written.stdout) == (0, "")
    schema = json.loads(printed.stdout)
    assert schema == json.loads((tmp_path / "schema.json").read_text())
    assert "model" in schema["properties"]


def test_a_schema_that_cannot_be_written(command):
    done = command("schema", "--output", "no/such/folder/schema.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no/such/folder/schema.json: the schema cannot be written: No such file")
