"""Killed and continued, two at once, several ranks: the work is done once, and the result is the same."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_runs import make

from trainwright.reference.shards import shard_files

SCRIPT = Path(__file__).with_name("reference_runs.py")
pytestmark = pytest.mark.slow  # each process imports TRL


def start(config: Path, folder: Path, *more: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(config), str(folder), *more]
    quiet = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, env={**os.environ, **quiet, **environment}, stdout=pipe, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    text, _ = process.communicate(timeout=300)
    assert process.returncode == code, text
    return text


def tables(cache: Path) -> dict[str, np.ndarray]:
    """Entry → its log-probabilities, of all that are finished."""
    return {file.parent.name: np.load(file.parent / "logps.npy") for file in sorted(cache.glob("*/seal.json"))}


def assert_same(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert got.keys() == expected.keys()
    for name, logps in expected.items():
        np.testing.assert_allclose(got[name], logps, rtol=2e-6, atol=2e-6)


@pytest.fixture
def undisturbed(write: Callable[..., Path], cache: Path, tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A config whose rows take several batches, and its tables; the cache is empty again."""
    import shutil

    path = write(training={"precompute_ref_batch_size": 2})
    make(path, tmp_path / "trainer")
    expected = tables(cache)
    assert len(expected) == 2
    shutil.rmtree(cache)
    return path, expected


def test_killed_it_goes_on_where_it_was(undisturbed: Any, cache: Path, tmp_path: Path) -> None:
    path, expected = undisturbed
    text = finish(start(path, tmp_path / "first", "3"), code=9)
    assert "tokens/s" not in text  # gone before anything was finished
    assert not tables(cache)
    (folder,) = (file.parent for file in cache.glob("*/key.json"))
    before = {file: file.stat().st_mtime_ns for file in shard_files(folder)}
    assert len(before) == 3
    finish(start(path, tmp_path / "second", "1"), code=9)
    assert before.items() <= {file: file.stat().st_mtime_ns for file in shard_files(folder)}.items()
    text = finish(start(path, tmp_path / "third"))
    (line,) = (line for line in text.splitlines() if "data.train: 12 rows (" in line)
    there = int(line.split("(")[1].split()[0])
    assert 0 < there < 12
    assert_same(tables(cache), expected)


def test_of_two_at_once_one_computes(undisturbed: Any, cache: Path, tmp_path: Path) -> None:
    path, expected = undisturbed
    both = [start(path, tmp_path / name) for name in ("first", "second")]
    texts = [finish(process) for process in both]
    assert_same(tables(cache), expected)
    computed = [line for text in texts for line in text.splitlines() if "tokens/s" in line]
    taken = [line for text in texts for line in text.splitlines() if "rows from " in line]
    assert len(computed) == len(taken) == 2


def test_the_second_waits_for_the_first_and_takes_over_when_it_dies(
    undisturbed: Any, cache: Path, tmp_path: Path
) -> None:
    path, expected = undisturbed
    slow = f"""
import sys, time
sys.path.insert(0, {str(SCRIPT.parent)!r})
import reference_runs
from pathlib import Path
from trainwright.reference import compute, entry
compute.SHARD_SECONDS = 0.0
write = entry.write_shard
def linger(*args):
    write(*args)
    print("one shard", flush=True)
    time.sleep(600)
entry.write_shard = linger
reference_runs.make(Path({str(path)!r}), Path({str(tmp_path / "first")!r}))
"""
    with subprocess.Popen([sys.executable, "-c", slow], stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout is not None
            while "one shard" not in first.stdout.readline():
                assert first.poll() is None
            second = start(path, tmp_path / "second")
            assert second.stdout is not None
            while "waiting for it" not in second.stdout.readline():
                assert second.poll() is None
            time.sleep(3)
            assert second.poll() is None
            assert not tables(cache)
        finally:
            first.kill()
    text = finish(second)
    assert "were there" in text
    assert_same(tables(cache), expected)


def test_ranks_share_the_work_and_the_result(undisturbed: Any, cache: Path, tmp_path: Path) -> None:
    """Of the three batches of data.eval, one rank has two."""
    path, expected = undisturbed
    texts = [finish(process) for process in on_ranks(path, tmp_path, 2)]
    assert_same(tables(cache), expected)
    assert [line.split(" ", 4)[3] for line in texts[0].splitlines() if "tokens/s" in line] == [
        "data.train:",
        "data.eval:",
    ]
    assert "tokens/s" not in texts[1]


def test_a_failure_of_one_rank_ends_all(undisturbed: Any, tmp_path: Path) -> None:
    path, _ = undisturbed
    texts = [process.communicate(timeout=300)[0] for process in on_ranks(path, tmp_path, 2, fails=1)]
    assert "another rank could not" in texts[0]
    assert "no space is left on the disk" in texts[1]


def on_ranks(path: Path, folder: Path, ranks: int, fails: int | None = None) -> Sequence[subprocess.Popen[str]]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
    (folder / "ranks").mkdir(exist_ok=True)
    faults = [{"FAIL": "1"} if rank == fails else {} for rank in range(ranks)]
    return [
        start(path, folder / "ranks", **shared, **fault, RANK=str(rank), LOCAL_RANK=str(rank))
        for rank, fault in enumerate(faults)
    ]
