"""`docs/write-a-plugin.md` as its reader follows it: its files make wheels, and the wheels hold working plugins."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from trainwright.config import RunConfig
from trainwright.hooks import LogStep

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "write-a-plugin.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
def wheel(tmp_path, site):
    """Write a package as the page has it, build its wheel without the network, and install that."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")

    def build(package):
        folder = tmp_path / package
        for path, text in FILES.items():
            if path.startswith(f"{package}/"):
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_text(text)
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (built,) = (folder / "dist").iterdir()
        zipfile.ZipFile(built).extractall(site)
        return built.name

    return build


def test_simpo_becomes_a_wheel_with_a_working_plugin(wheel, discover):
    assert f"dist/{wheel('simpo')}" in PAGE
    record = discover().provider("compute_loss", "simpo")
    assert (record.distribution, record.version, record.methods) == ("trainwright-simpo", "0.1.0", {"dpo"})
    assert record.reference_free
    assert record.settings_model(beta=2.5, gamma=1.0).gamma == 1.0


def test_the_plugin_modules_are_light(wheel, site):
    wheel("simpo")
    wheel("extras")
    code = (
        "import sys, trainwright_simpo, trainwright_extras; print({'torch', 'transformers', 'trl'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=site, check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "set()"


def test_the_page_shows_the_files_of_the_example():
    for path, text in FILES.items():
        example = ROOT / "examples" / "plugins" / path
        if path.startswith("simpo/") and path.endswith((".toml", ".py")):
            assert re.sub(r"  # noqa.*", "", example.read_text(encoding="utf-8")) == text, path


def test_the_other_hooks_do_what_the_page_says(wheel, install_loss, discover):
    wheel("extras")
    install_loss("acme", "simpo")
    manager = discover()
    step = LogStep(step=1, logs={}, tokens=50, seconds=0.5, sequence_length=5.0, world_size=1)
    (length,) = manager.broadcast("metrics", ["extras"], step=step)
    assert length.value == {"sequence_length": 5.0}
    hot = RunConfig(model="m", output="runs/x", training={"learning_rate": 0.1})
    (rule,) = manager.broadcast("validate_config", config=hot)
    assert [problem.origin for problem in rule.value] == ["extras"]
    assert [record.name for record in manager.wrappers("compute_loss")] == ["extras"]
    assert manager.slot("compute_loss", "simpo")(ctx=None) == "acme"


def test_the_page_names_what_the_context_has():
    from trainwright.loss.context import LossContext
    from trainwright.loss.handle import ModelHandle
    from trainwright.loss.preference import Sequences

    table = PAGE.split("What the context offers:")[1].split("\n\n")[1]
    for owner, names in (("ctx", re.findall(r"ctx\.(\w+)", table)), ("model", re.findall(r"model\.(\w+)", table))):
        assert names
        for name in names:
            kinds = LossContext if owner == "ctx" else ModelHandle
            assert hasattr(kinds, name) or f"\n        {name}: " in (kinds.__doc__ or ""), f"{owner}.{name}"
    assert hasattr(Sequences, "chosen_minus_rejected")
