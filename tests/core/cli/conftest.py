"""A good config, the command as a whole process, and plugins that exist as metadata and a module in a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROWS = [{"messages": [{"role": "user", "content": "2+2"}, {"role": "assistant", "content": "4"}]}] * 3
CONFIG = """\
method: sft
model: {path: some-hub/tiny-model}
data: {train: data.jsonl}
training: {max_steps: 1}
output: run
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    path = tmp_path / "good.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m trainwright ...` as a whole process in an empty folder; keywords are environment variables."""

    def run(*words: object, flags: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TRAINWRIGHT_")}
        return subprocess.run(
            [sys.executable, *flags, "-m", "trainwright", *map(str, words)],
            cwd=tmp_path,
            env=inherited | environment,
            text=True,
            capture_output=True,
            timeout=120,
        )

    return run


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., str]:
    """Install a plugin: metadata and one module in a folder; returns the `PYTHONPATH` that finds it."""
    site = tmp_path / "site"

    def install(name: str, code: str, *, hook: str = "metrics", version: str = "1.0", distribution: str = "") -> str:
        distribution = distribution or f"acme-{name}"
        module = distribution.replace("-", "_")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[trainwright.v1.{hook}]\n{name} = {module}\n")
        (site / f"{module}.py").write_text(code)
        return str(site)

    return install
