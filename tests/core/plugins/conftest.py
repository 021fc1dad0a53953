"""Installed distributions made of real `*.dist-info` folders and modules, on a `sys.path` of their own."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trainwright.plugins import PluginManager

Install = Callable[..., Path]
Discover = Callable[..., PluginManager]

LOSS = """
from trainwright import hookimpl

@hookimpl
def compute_loss(ctx):
    return "{answer}"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on `sys.path` whose modules are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """Install a distribution: `install("acme", {"compute_loss": "simpo = acme_simpo"}, acme_simpo="source")`.

    `hooks` maps a hook (or, where it has a dot, a whole group) to entry points, one a line; keywords are modules.
    """

    def make(
        distribution: str,
        hooks: dict[str, str],
        *,
        version: str = "1.0",
        requires: tuple[str, ...] = (),
        **modules: str,
    ) -> Path:
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{needs}\n")
        groups = {hook if "." in hook else f"trainwright.v1.{hook}": lines for hook, lines in hooks.items()}
        (info / "entry_points.txt").write_text("".join(f"[{group}]\n{lines}\n" for group, lines in groups.items()))
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
        files = [f"{info.name}/{name}" for name in ("METADATA", "entry_points.txt", "RECORD")]
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files + [f"{name}.py" for name in modules]))
        return info

    return make


@pytest.fixture
def install_loss(install: Install) -> Callable[..., Path]:
    """Install losses that answer their own distribution's name: `install_loss("acme", "simpo", "orpo")`."""

    def make(distribution: str, *names: str, **options: object) -> Path:
        module = f"{distribution}_losses".replace("-", "_")
        hooks = {"compute_loss": "\n".join(f"{name} = {module}" for name in names)}
        return install(distribution, hooks, **{module: LOSS.format(answer=distribution)}, **options)

    return make


@pytest.fixture
def discover(site: Path) -> Discover:
    """`PluginManager.discover` that sees only what the test installed."""

    def find(*arguments: object, environ: dict[str, str] | None = None, **keywords: object) -> PluginManager:
        installed = importlib.metadata.distributions(path=[str(site)])
        return PluginManager.discover(*arguments, environ=environ or {}, distributions=installed, **keywords)

    return find
