"""A checkpoint without a valid seal does not count."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from trainwright.run.folder import STAGING
from trainwright.run.seal import SEAL, last_sealed, publish, read_seal, rotate, survey, write_seal


def checkpoint(parent: Path, step: int, *, sealed: bool = True) -> Path:
    folder = parent / f"checkpoint-{step}"
    (folder / "inner").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(100))
    (folder / "inner/state.pt").write_bytes(bytes(50))
    if sealed:
        write_seal(folder, step=step, ranks=1, metrics_bytes=7)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_seal_says_what_was_written(tmp_path: Path) -> None:
    seal = read_seal(checkpoint(tmp_path, 3))
    assert (seal.step, seal.ranks, seal.metrics_bytes, seal.bytes) == (3, 1, 7, 150)
    assert seal.files == {"inner/state.pt": 50, "model.safetensors": 100}


def spoil_missing_seal(folder: Path) -> None:
    (folder / SEAL).unlink()


def spoil_cut_seal(folder: Path) -> None:
    (folder / SEAL).write_text((folder / SEAL).read_text()[:40])


def spoil_foreign_seal(folder: Path) -> None:
    (folder / SEAL).write_text("[]")


def spoil_later_format(folder: Path) -> None:
    (folder / SEAL).write_text(json.dumps({**json.loads((folder / SEAL).read_text()), "format": 99}))


def spoil_missing_file(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def spoil_cut_file(folder: Path) -> None:
    (folder / "inner/state.pt").write_bytes(bytes(49))


SPOILERS = {
    spoil_missing_seal: "it has no seal: writing it was not finished",
    spoil_cut_seal: "its seal cannot be read",
    spoil_foreign_seal: "its seal cannot be read",
    spoil_later_format: "its seal has format 99",
    spoil_missing_file: "model.safetensors is missing",
    spoil_cut_file: "inner/state.pt has 49 bytes instead of 50",
}


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_flawed_checkpoint_is_passed_over_and_reported(
    spoil: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint(tmp_path, 9)
    spoil(checkpoint(tmp_path, 10))  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        assert last_sealed(tmp_path) == tmp_path / "checkpoint-9"
    assert f"passing over checkpoint-10: {SPOILERS[spoil]}" in caplog.text


def test_the_newest_is_told_by_its_step_and_not_by_its_name(tmp_path: Path) -> None:
    for step in (2, 10, 9):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-old").mkdir()
    (tmp_path / "README.md").write_text("")
    assert last_sealed(tmp_path) == tmp_path / "checkpoint-10"
    assert last_sealed(tmp_path / "nowhere") is None


def test_one_that_was_sealed_but_not_yet_moved_counts(tmp_path: Path) -> None:
    checkpoint(tmp_path, 1)
    staged = checkpoint(tmp_path / STAGING, 2)
    assert last_sealed(tmp_path) == staged
    assert publish(staged, tmp_path) == tmp_path / "checkpoint-2"
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-2"]


def test_publishing_replaces_one_of_the_same_step(tmp_path: Path) -> None:
    checkpoint(tmp_path, 2)
    staged = checkpoint(tmp_path / STAGING, 2)
    (staged / "model.safetensors").write_bytes(bytes(120))
    write_seal(staged, step=2, ranks=1, metrics_bytes=0)
    publish(staged, tmp_path)
    assert read_seal(tmp_path / "checkpoint-2").bytes == 170
    assert names(tmp_path) == ["checkpoint-2"]


@pytest.mark.parametrize(
    ("limit", "left"),
    [(None, [1, 2, 3, 4]), (0, [1, 2, 3, 4]), (9, [1, 2, 3, 4]), (2, [3, 4]), (1, [4])],
)
def test_rotation_keeps_the_newest(limit: int | None, left: list[int], tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        checkpoint(tmp_path, step)
    rotate(tmp_path, limit)
    assert names(tmp_path) == [f"checkpoint-{step}" for step in left]


def test_rotation_keeps_the_best(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint(tmp_path, step)
    rotate(tmp_path, 1, best=tmp_path / "checkpoint-1")
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-3"]


def test_rotation_never_counts_a_flawed_one_as_kept(tmp_path: Path) -> None:
    checkpoint(tmp_path, 1)
    checkpoint(tmp_path, 2, sealed=False)
    rotate(tmp_path, 1)
    whole, flawed = survey(tmp_path)
    assert [path.name for path in whole] == ["checkpoint-1"]
    assert [path.name for path in flawed] == ["checkpoint-2"]
