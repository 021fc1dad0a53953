"""`plugins` and `explain`, as whole processes, with plugins that are installed for the test."""

from __future__ import annotations

import json

import pytest

GOOD = """\
from trainwright import hookimpl

@hookimpl
def metrics(step):
    return {}
"""
BROKEN = "import a_package_that_nobody_has\n"


@pytest.fixture
def site(install):
    install("speed", GOOD)
    return install("cracked", BROKEN, version="2.0")


def by_name(text):
    return {record["name"]: record for record in json.loads(text)}


def test_the_table_has_a_row_for_each_plugin(command, site):
    done = command("plugins", PYTHONPATH=site)
    assert (done.returncode, done.stderr) == (0, "")
    head, _, *rows = done.stdout.splitlines()
    assert head.split() == ["name", "distribution", "version", "state", "provides"]
    cells = [row.split() for row in rows]
    assert ["speed", "acme-speed", "1.0", "active", "metrics"] in cells
    assert ["trl", "trainwright", "0.1.0", "active", "compute_loss"] in cells


def test_json_is_a_list_of_records(command, site):
    done = command("plugins", "--json", PYTHONPATH=site)
    assert done.stderr == ""
    record = by_name(done.stdout)["speed"]
    wanted = {"name": "speed", "distribution": "acme-speed", "version": "1.0", "state": "active", "reason": ""}
    assert wanted.items() <= record.items()
    assert record["provides"] == ["metrics"]


def test_listing_imports_no_plugin(command, install):
    site = install("loud", "raise SystemExit('imported')")
    assert by_name(command("plugins", "--json", PYTHONPATH=site).stdout)["loud"]["state"] == "active"


def test_a_plugin_that_is_left_out_says_by_what(command, site):
    done = command("plugins", "--no-plugin", "speed", PYTHONPATH=site)
    assert done.returncode == 0
    assert "'speed' (acme-speed 1.0) is disabled: disabled by --no-plugin" in done.stdout


def test_leaving_out_what_is_not_installed_is_an_error_with_a_suggestion(command, site):
    done = command("plugins", "--no-plugin", "sped", PYTHONPATH=site)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "error: --no-plugin: there is no plugin 'sped' to disable; did you mean 'speed'?\n  →"
    )


def test_the_traceback_of_a_broken_plugin(command, site):
    done = command("plugins", "--traceback", "cracked", PYTHONPATH=site)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("'cracked' (acme-cracked 2.0) is broken: ")
    assert "Traceback (most recent call last)" in done.stdout
    assert "No module named 'a_package_that_nobody_has'" in done.stdout


def test_no_traceback_of_what_is_not_installed(command, site):
    done = command("plugins", "--traceback", "craked", PYTHONPATH=site)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no plugin 'craked'; did you mean 'cracked'?" in done.stderr


def test_the_table_keeps_to_the_width_of_the_terminal(command, site):
    narrow = command("plugins", PYTHONPATH=site, COLUMNS="40").stdout.splitlines()
    assert max(map(len, narrow)) <= 40
    assert "…" not in "".join(narrow)
    assert max(map(len, command("plugins", PYTHONPATH=site).stdout.splitlines())) > 40


def test_explain_says_who_answers_each_hook_by_default(command, site):
    done = command("explain", PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    assert "compute_loss (slot)\n  provider: trl from trainwright 0.1.0, " in done.stdout
    assert "native.py\n    because: the default of loss" in done.stdout
    assert "metrics (broadcast)\n  nobody\n  not chosen: speed" in done.stdout
    assert "'cracked' (acme-cracked 2.0) is broken" in done.stdout
    assert "→ trainwright plugins --traceback cracked" in done.stdout


def test_explain_a_config_names_the_line_that_chose(command, site, config):
    config.write_text(config.read_text() + "metrics: [speed]\n")
    done = command("explain", config, "--json", PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    hooks = json.loads(done.stdout)["hooks"]
    (participant,) = hooks["metrics"]["participants"]
    assert (participant["name"], participant["distribution"], participant["version"]) == ("speed", "acme-speed", "1.0")
    assert participant["location"].endswith("acme_speed.py")
    assert "good.yaml:6: metrics" in participant["why"]


def test_explain_a_choice_that_cannot_be_had(command, site, config):
    done = command("explain", config, "metrics=[cracked]", PYTHONPATH=site)
    assert done.returncode == 1
    assert "problem: command line: metrics: plugin 'cracked' (acme-cracked 2.0) is broken" in done.stdout


@pytest.mark.parametrize("option", ["validate run.yaml --no-plugin", "plugins --traceback"])
def test_names_of_plugins_complete_in_the_shell(command, site, option):
    typed = {"_TRAINWRIGHT_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"trainwright {option} spe"}
    done = command(PYTHONPATH=site, **typed)
    assert "speed" in done.stdout
    assert "cracked" not in done.stdout
    done = command(PYTHONPATH=site, TRAINWRIGHT_DISABLE_PLUGINS="unknown", **typed)
    assert ("speed" in done.stdout, done.stderr) == (False, "")
