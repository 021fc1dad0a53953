"""Configs in files, and plugins that are installed for one test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from trainwright.config.check import CheckedConfig, check_config
from trainwright.config.load import draft_config
from trainwright.errors import ConfigError
from trainwright.plugins.manager import PluginManager

ROW = '{"messages": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]}\n'

ACME = """
from typing import Literal
from trainwright import PluginSettings, Problem, hookimpl

class Settings(PluginSettings):
    chunk_size: int = 1024
    mode: Literal["fast", "exact"] = "fast"

methods = frozenset({"sft", "dpo"})
reference_free = True

@hookimpl
def compute_loss(ctx): ...

@hookimpl
def metrics(step): return {}

@hookimpl
def validate_config(config):
    if config.training.get("seed") == 13:
        yield Problem("13 brings bad luck", config.where("training.seed"), "Take another.")
    if config.training.get("seed") == 12:
        yield Problem("12 is too even", config.where("training.seed"), fatal=False)
    if (labels := config.labels("data.train")) and not labels.undesirable:
        yield Problem(f"nothing is disliked: {labels}", config.where("data.train"), fatal=False)
    if config.training.get("seed") == 14:
        raise RuntimeError("cannot count")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `train.jsonl` of one good row."""
    (tmp_path / "train.jsonl").write_text(ROW)
    return tmp_path


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginManager]:
    """Core's own plugins, the loss and metrics plugin `acme`, and `crooked`, whose import raises."""
    site = tmp_path / "site"
    info = site / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "acme_plugin.py").write_text(ACME)
    (site / "crooked_plugin.py").write_text("raise OSError('no such device')")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n\n")
    entries = {
        "compute_loss": "acme = acme_plugin\ncrooked = crooked_plugin",
        "metrics": "acme = acme_plugin",
        "validate_config": "acme = acme_plugin",
    }
    (info / "entry_points.txt").write_text("".join(f"[trainwright.v1.{k}]\n{v}\n" for k, v in entries.items()))
    monkeypatch.syspath_prepend(str(site))
    installed = [metadata.distribution("trainwright"), metadata.PathDistribution(info)]
    yield PluginManager.discover(distributions=installed).load()
    for module in ("acme_plugin", "crooked_plugin"):
        sys.modules.pop(module, None)


@pytest.fixture
def check(folder: Path, manager: PluginManager) -> Callable[..., CheckedConfig]:
    """Check the text of a config, written to `run.yaml` beside `train.jsonl`."""

    def run(text: str, *overrides: str) -> CheckedConfig:
        path = folder / "run.yaml"
        path.write_text(text)
        draft = draft_config(path, overrides)
        if draft.config is None:
            raise ConfigError(draft.problems)
        return check_config(draft.config, manager, draft)

    return run


@pytest.fixture
def complaints(check: Callable[..., CheckedConfig], folder: Path) -> Callable[..., list[str]]:
    """What is said about a config, with the names of files relative to its folder."""

    def run(text: str, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            check(text, *overrides)
        return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]

    return run
