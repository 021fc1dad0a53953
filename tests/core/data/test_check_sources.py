"""Which files a source names; what is missing, mixed or meant for the hub only is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trainwright.config.load import load_config
from trainwright.config.models import DataSource, RunConfig
from trainwright.data.check import check_source
from trainwright.data.sources import is_local, local_files
from trainwright.errors import DataError
from trainwright.trainer.methods import METHODS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jsonl", "b.jsonl", "c.csv", "more/d.jsonl", "notes.txt", "odd.v1.JSON"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"text": "x"}\n')
    return tmp_path


def source_of(folder: Path, data: Any) -> tuple[DataSource, RunConfig]:
    path = folder / "run.yaml"
    path.write_text(f"model: m\ndata:\n  train: {json.dumps(data)}\noutput: x\n")
    config = load_config(path)
    assert config.data is not None
    return config.data.train, config


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("a.jsonl", ["a.jsonl"]),
        (["b.jsonl", "a.jsonl"], ["b.jsonl", "a.jsonl"]),
        ("*.jsonl", ["a.jsonl", "b.jsonl"]),
        ("**/*.jsonl", ["a.jsonl", "b.jsonl", "d.jsonl"]),
        ("./more/d.jsonl", ["d.jsonl"]),
        ("odd.v1.JSON", ["odd.v1.JSON"]),
    ],
)
def test_files_are_found_beside_the_config_in_the_order_given(folder: Path, data: Any, names: list[str]) -> None:
    files = local_files(*source_of(folder, data))
    assert [file.name for file in files] == names
    assert all(file.is_absolute() for file in files)


@pytest.mark.parametrize(
    ("data", "local"),
    [
        ("acme/rows", False),
        ("rows", False),
        ("acme/rows.v2", False),
        ("none.jsonl", True),
        ("more", True),
        ("x/*", True),
        ("./x", True),
    ],
)
def test_a_hub_id_is_told_from_a_file(folder: Path, data: str, local: bool) -> None:
    assert is_local(*source_of(folder, data)) is local


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("c.jsonl", "run.yaml:3: data.train.path: no such file: c.jsonl\n  → Did you mean `"),
        ("none/at/all.jsonl", "→ Relative paths are sought beside the config, then from here."),
        (["a.jsonl", "no.jsonl"], "run.yaml:3: data.train.path.1: no such file: no.jsonl"),
        ("*.parquet", "run.yaml:3: data.train.path: no file matches `*.parquet`\n  → Sought in "),
        ("./notes.txt", "`./notes.txt` is of no known format\n  → Local data are files that end in .jsonl, .ndjson,"),
        ("more/*", ""),
        ("*", "`*` matches files of no known format: notes.txt"),
        ("more", "`more` is a folder\n  → Name its files, e.g. `more/*.jsonl`."),
        (["a.jsonl", "c.csv"], "files of several formats in one data set: csv, jsonl\n  → Convert them to one format."),
        (
            {"path": "a.jsonl", "split": "train"},
            "data.train.split: `split` is for hub data sets, and this one is local",
        ),
        (
            {"path": "a.jsonl", "streaming": True},
            "`streaming` is for hub data sets, and this one is local\n  → Remove it.",
        ),
    ],
)
def test_what_cannot_be_found_or_read_is_refused(folder: Path, data: Any, expected: str) -> None:
    if not expected:
        assert local_files(*source_of(folder, data))
        return
    with pytest.raises(DataError) as caught:
        local_files(*source_of(folder, data))
    assert expected in str(caught.value).replace(f"{folder}/", "")


def test_every_missing_file_is_named(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        local_files(*source_of(folder, ["x.jsonl", "y.jsonl"]))
    assert len(caught.value.problems) == 2


def test_nothing_is_said_of_the_rows_of_a_hub_data_set(folder: Path) -> None:
    source, config = source_of(folder, {"path": "acme/rows", "split": "train", "streaming": True})
    assert check_source(source, config, METHODS["sft"], "data.train") == []
