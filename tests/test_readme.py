"""README.md: its plugin works, its config is valid, its commands and sessions exist."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import pytest
import typer

from trainwright.cli import main
from trainwright.cli.app import app
from trainwright.testing.bench import Case, one_step
from trainwright.testing.oracle import plain_outcome

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROW = {"messages": [{"role": "user", "content": "2+2"}, {"role": "assistant", "content": "4"}]}


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


@pytest.fixture
def focal(tmp_path, monkeypatch):
    """The README's plugin, installed from the README's own registration."""
    (module,), (registration,) = blocks("python"), blocks("toml")
    info = tmp_path / "focal-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: focal\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(registration.replace('[project.entry-points."', "[").replace('"', ""))
    (tmp_path / "focal.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("focal", None)


def test_the_plugin_is_short_and_its_value_and_gradients_are_those_of_the_focal_loss(focal):
    def plain(policy, _reference, settings):
        terms = [(1 - logps.exp()) ** settings.gamma * -logps for logps in policy]
        return sum(term.sum() for term in terms) / sum(map(len, terms))

    (module,) = blocks("python")
    assert sum(map(bool, module.splitlines())) <= 10
    case = Case(loss="focal", settings={"gamma": 1.5}, dtype="float64", rows=4, per_device=2, accumulate=2)
    found, expected = one_step(case), plain_outcome(case, plain)
    assert found.loss == pytest.approx(expected.loss, rel=1e-9)
    assert found.gradients.keys() == expected.gradients.keys()
    for name, gradient in expected.gradients.items():
        assert (found.gradients[name] - gradient).abs().max() <= 1e-9 * gradient.abs().max(), name
    assert 0 < found.history[0]["confidence"] < 1


def test_the_config_is_valid(tmp_path, monkeypatch, capsys):
    (config,) = blocks("yaml")
    (tmp_path / "run.yaml").write_text(config)
    (tmp_path / "train.jsonl").write_text(json.dumps(ROW) + "\n")
    monkeypatch.chdir(tmp_path)
    assert main(["validate", "run.yaml"]) == 0, capsys.readouterr().err


def test_every_verb_of_the_command_line_is_shown_and_exists():
    shown = re.findall(r"^trainwright (\w+)", "\n".join(blocks("sh")), re.MULTILINE)
    assert sorted(shown) == sorted(typer.main.get_command(app).commands)


def test_the_sessions_that_are_shown_exist():
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    sessions = {node.name for node in functions if any("nox.session" in ast.unparse(d) for d in node.decorator_list)}
    lines = re.findall(r"nox -s ([^#\n]+)", "\n".join(blocks("sh")))
    words = [word for line in lines for word in re.sub(r"\(.*?\)|--.*", "", line).replace('"', "").split()]
    assert set(words) == sessions


def test_its_two_commands_come_first():
    first, second = blocks("sh")[:2]
    assert first == "python -m pip install nox && nox -s quickstart\n"
    assert second == "python -m pip install nox && nox\n"
    assert PAGE.startswith("# Trainwright\n\n```sh\n")
