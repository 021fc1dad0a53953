"""An entry of the cache: what is cut off, altered, not finite or another's is never used."""

from __future__ import annotations

import json
import logging
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainwright.errors import RunError
from trainwright.reference.entry import Entry
from trainwright.reference.shards import FlawError, Shard, read_shard, shard_files
from trainwright.reference.table import check_table

COLUMNS, ROWS = ("chosen", "rejected"), 5
LENGTHS = np.array([[2, 1], [0, 3], [1, 1], [4, 2], [1, 0]])


def row_logps(row: int) -> np.ndarray:
    return -np.arange(1, LENGTHS[row].sum() + 1, dtype=np.float32) - 10 * row


def shard(*rows: int) -> Shard:
    return Shard(np.array(rows), LENGTHS[list(rows)], np.concatenate([row_logps(row) for row in rows]))


def entry(model: str = "one") -> Entry:
    return Entry({"model": model}, COLUMNS, ROWS)


@pytest.fixture
def begun() -> Entry:
    """An entry with the rows 3, 0 and 4, in two shards."""
    made = entry()
    assert made.begin().tolist() == [0, 1, 2, 3, 4]
    made.add(shard(3, 0))
    made.add(shard(4))
    return made


@pytest.fixture
def whole(begun: Entry) -> Entry:
    begun.add(shard(2, 1))
    begun.finish()
    return begun


def test_rows_come_back_in_order_whatever_the_order_they_came_in(whole: Entry) -> None:
    assert whole.is_whole()
    assert not shard_files(whole.folder)
    table = whole.table()
    assert len(table) == ROWS
    for row in range(ROWS):
        chosen, rejected = table.logps(row, "chosen"), table.logps(row, "rejected")
        assert (len(chosen), len(rejected)) == tuple(LENGTHS[row])
        np.testing.assert_array_equal(np.concatenate([chosen, rejected]), row_logps(row))
    again = pickle.loads(pickle.dumps(table))
    np.testing.assert_array_equal(again.logps(3, "rejected"), table.logps(3, "rejected"))


def test_float64_stays_float64() -> None:
    made = Entry({}, ("completion",), 1)
    made.begin()
    made.add(Shard(np.array([0]), np.array([[2]]), np.array([-1 / 3, -2 / 3])))
    made.finish()
    np.testing.assert_array_equal(made.table().logps(0, "completion"), [-1 / 3, -2 / 3])


def test_rows_without_any_token_are_kept() -> None:
    made = Entry({}, ("completion",), 2)
    made.begin()
    made.add(Shard(np.array([0, 1]), np.zeros((2, 1), dtype=np.int64), np.zeros(0, dtype=np.float32)))
    made.finish()
    assert made.is_whole()
    assert len(made.table().logps(1, "completion")) == 0


def test_any_text_may_be_in_a_key() -> None:
    made = Entry({"path": 'models/größe "7"\\b/模型'}, ("completion",), 1)
    made.begin()
    made.add(Shard(np.array([0]), np.array([[1]]), np.array([-1.0], dtype=np.float32)))
    made.finish()
    assert made.is_whole()


def test_what_is_there_is_not_missing(begun: Entry) -> None:
    assert entry().begin().tolist() == [1, 2]


# ── shards ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    place = content.find(row_logps(4).tobytes())  # a number, not a header
    content[place] ^= 1
    file.write_bytes(content)


def rewrite(**changed: Any) -> Callable[[Path], None]:
    """Another content with checksums that fit."""

    def run(file: Path) -> None:
        with np.load(file) as arrays:
            content = {name: arrays[name] for name in arrays.files}
        for name, change in changed.items():
            content[name] = change(content[name])
        np.savez(file.with_suffix(""), **content)

    return run


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut off": (cut, "cut off or altered"),
    "empty": (lambda file: file.write_bytes(b""), "cut off or altered"),
    "a bit flipped": (flip, "cut off or altered"),
    "no shard at all": (lambda file: file.write_text("hello"), "cut off or altered"),
    "of another key": (rewrite(key=lambda key: key[::-1].copy()), "another model, other data"),
    "NaN": (rewrite(logps=lambda logps: logps * np.nan), "NaN or an infinite"),
    "infinite": (rewrite(logps=lambda logps: logps - np.inf), "NaN or an infinite"),
    "too few numbers": (rewrite(logps=lambda logps: logps[:-1]), "disagree"),
    "negative lengths": (rewrite(lengths=lambda lengths: lengths - 2), "disagree"),
    "a row too far": (rewrite(rows=lambda rows: rows + ROWS), "rows that the data do not have"),
    "a column too many": (
        rewrite(lengths=lambda lengths: np.hstack([lengths, 0 * lengths])),
        "rows that the data do not have",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_flawed_shard_is_dropped_with_a_word_and_its_rows_are_missing(
    fault: str, begun: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    plant, said = FAULTS[fault]
    flawed = next(
        file for file in shard_files(begun.folder) if read_shard(file, begun.key, ROWS, 2).rows.tolist() == [4]
    )
    plant(flawed)
    with caplog.at_level(logging.WARNING, "trainwright"):
        assert begun.begin().tolist() == [1, 2, 4]
    (record,) = caplog.records
    assert str(flawed) in record.getMessage()
    assert said in record.getMessage()
    assert not flawed.exists()


def test_what_a_killed_writer_left_is_removed(begun: Entry) -> None:
    left = begun.folder / "shard-0.npz.tmp-1"
    left.write_bytes(b"half")
    begun.begin()
    assert not left.exists()


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def reseal(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        seal = json.loads((folder / "seal.json").read_text())
        change(seal)
        (folder / "seal.json").write_text(json.dumps(seal))

    return run


def replace_logps(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Other numbers under a seal that fits them."""

    def run(folder: Path) -> None:
        file = folder / "logps.npy"
        np.save(file, change(np.load(file)))
        content = file.read_bytes()
        fits = {"bytes": len(content), "crc32": zlib.crc32(content)}
        reseal(lambda seal: seal["files"].update({"logps.npy": fits}))(folder)

    return run


def flip_table(folder: Path) -> None:
    content = bytearray((folder / "logps.npy").read_bytes())
    content[-1] ^= 1
    (folder / "logps.npy").write_bytes(content)


TABLE_FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a bit flipped": (flip_table, "logps.npy is missing, cut off or altered"),
    "lengths gone": (lambda folder: (folder / "lengths.npy").unlink(), "lengths.npy is missing"),
    "another key in the seal": (reseal(lambda seal: seal.update(key="0" * 64)), "another model"),
    "another key in the header": (lambda folder: (folder / "key.json").write_text('{"model": "two"}'), "another model"),
    "other columns": (reseal(lambda seal: seal.update(columns=["rejected", "chosen"])), "other rows or columns"),
    "another format": (reseal(lambda seal: seal.update(format=99)), "not of format"),
    "a seal without files": (reseal(lambda seal: seal.pop("files")), "seal cannot be read"),
    "no JSON": (lambda folder: (folder / "seal.json").write_text("{"), "seal cannot be read"),
    "NaN": (replace_logps(lambda logps: logps * np.nan), "NaN or an infinite"),
    "too short": (replace_logps(lambda logps: logps[1:]), "disagree"),
}


@pytest.mark.parametrize("fault", TABLE_FAULTS)
def test_a_flawed_table_is_removed_with_a_word(fault: str, whole: Entry, caplog: pytest.LogCaptureFixture) -> None:
    plant, said = TABLE_FAULTS[fault]
    plant(whole.folder)
    with caplog.at_level(logging.WARNING, "trainwright"):
        assert not whole.is_whole()
    (record,) = caplog.records
    assert "computed again" in record.getMessage()
    assert said in record.getMessage()
    assert whole.begin().tolist() == [0, 1, 2, 3, 4]


def test_an_entry_of_another_model_put_in_its_place_is_not_used(whole: Entry) -> None:
    other = entry("two")
    whole.folder.rename(other.folder)
    assert not other.is_whole()
    assert not other.folder.exists()
    with pytest.raises(FlawError, match="another model"):
        check_table(_copy_of_whole(), other.key, COLUMNS, ROWS)


def _copy_of_whole() -> Path:
    made = entry()
    made.begin()
    made.add(shard(0, 1, 2, 3, 4))
    made.finish()
    return made.folder


def test_a_seal_that_is_missing_means_that_it_is_not_finished(whole: Entry) -> None:
    (whole.folder / "seal.json").unlink()
    assert not whole.is_whole()
    with pytest.raises(RunError, match="share one cache"):
        whole.table()


# ── the folder ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lock_is_held_by_one(begun: Entry) -> None:
    other = entry()
    assert begun.acquire(0)
    assert not other.acquire(0)
    begun.release()
    assert other.acquire(0)
    other.release()


def test_a_cache_that_cannot_be_written_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TRAINWRIGHT_CACHE", str(tmp_path / "file"))
    made = entry()
    for action in (lambda: made.acquire(0), made.begin, lambda: made.add(shard(0))):
        with pytest.raises(RunError, match=r"cannot be kept in(.|\n)*TRAINWRIGHT_CACHE"):
            action()
