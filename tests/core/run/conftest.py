"""Runs in processes of their own, without paying for the imports each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Launch = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def launch() -> Iterator[Launch]:
    """`launch(output, training={...}, at=["step", 5], ...)` → {"code": ..., "text": ...}; see `tiny_run`."""
    quiet = {
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONWARNINGS": "ignore",
    }
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("tiny_run.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **quiet},
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None

    def ask(output: Path, **wanted: Any) -> dict[str, Any]:
        server.stdin.write(json.dumps({"output": str(output), **wanted}) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, "the server of runs has ended; its output is above"
        return json.loads(answer)

    yield ask
    server.stdin.close()
    server.wait()
