"""Data sets are loaded with every row, column and value, and from the files as they are now."""

from __future__ import annotations

import json
import os

import pytest

from trainwright.config.models import DataSource, RunConfig
from trainwright.data.load import fingerprint, load_split
from trainwright.errors import DataError

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of `datasets` of the test's own."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf"))


@pytest.fixture
def config(tmp_path):
    made = RunConfig(model={"path": "some/model"}, output="run")
    made._folder = tmp_path
    return made


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def load(config, path, key="data.train", **keys):
    return load_split(DataSource(path=path, **keys), config, key)


ROWS = [{"prompt": "ä", "completion": "1"}, {"prompt": "b", "completion": "2"}, {"prompt": "c", "completion": "3"}]


def write(path, rows):
    import pandas

    frame = pandas.DataFrame(rows)
    if path.suffix == ".jsonl":
        jsonl(path, rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_every_format_gives_the_same_rows(config, tmp_path, suffix):
    write(tmp_path / f"data.{suffix}", ROWS)
    assert load(config, f"data.{suffix}").to_list() == ROWS


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_an_edited_file_is_read_again_even_at_the_same_time_and_size(config, tmp_path, suffix):
    file = tmp_path / f"data.{suffix}"
    write(file, ROWS)
    stamp = file.stat().st_mtime_ns
    load(config, file.name)
    changed = [{**row, "prompt": row["prompt"].upper()} for row in ROWS]
    write(file, changed)
    os.utime(file, ns=(stamp, stamp))
    assert load(config, file.name).to_list() == changed


def test_several_files_follow_each_other(config, tmp_path):
    jsonl(tmp_path / "b.jsonl", ROWS[:1])
    jsonl(tmp_path / "a.jsonl", [{"prompt": "z", "extra": 1}])
    rows = load(config, ["b.jsonl", "a.jsonl"]).to_list()
    assert [row["prompt"] for row in rows] == ["ä", "z"]
    assert rows[0]["extra"] is None
    assert [row["prompt"] for row in load(config, "*.jsonl")] == ["z", "ä"]


def test_conversations_whose_turns_have_different_keys_stay_as_they_are(config, tmp_path):
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    other = {"type": "function", "function": {"name": "g", "arguments": {"y": "2", "z": [None]}}}
    rows = [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "assistant", "tool_calls": [call]}], "tools": [{"name": "f"}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [other]}], "tools": None, "late": {"k": []}},
    ]
    loaded = load(config, jsonl(tmp_path / "a.jsonl", rows).name)
    assert loaded["messages"] == [row["messages"] for row in rows]
    assert loaded["tools"] == [None, [{"name": "f"}], None]
    assert loaded["late"] == [None, None, {"k": []}]


def test_a_difference_far_down_the_file_is_no_different(config, tmp_path):
    rows = [{"messages": [{"role": "user", "content": "x" * 2000}], "n": 1}] * 6000  # more than datasets reads at once
    rows.append({"messages": [{"role": "user", "content": "y", "name": "z"}], "n": 1.5, "late": True})
    loaded = load(config, jsonl(tmp_path / "a.jsonl", rows).name)
    assert loaded[-1] == rows[-1]
    assert loaded[0]["messages"] == rows[0]["messages"]


@pytest.mark.parametrize(
    "values",
    [
        ["2025-03-03 16:15:00", "2025-03-04T16:15:00Z"],
        ["007", "NA"],
        [1, "x", None, {"a": 1}],
        [True, False, None],
        [1, 2.5],
        [{"a": 1, "b": "x"}, {"b": "y", "a": 2}, None],
        [{"a": 1}, {"b": 2}, {}],
        [[], [1], None],
        [[1, "x"], [{"a": None}]],
        [None, None],
        [2**62, -1],
    ],
    ids=repr,
)
def test_json_values_are_never_changed(config, tmp_path, values):
    assert load(config, jsonl(tmp_path / "a.jsonl", [{"v": value} for value in values]).name)["v"] == values


def test_csv_values_are_numbers_only_where_nothing_is_lost(config, tmp_path):
    (tmp_path / "a.csv").write_text(
        "prompt,code,version,n,ratio,ok,word\n"
        '1,007,1.10,1,0.5,true,NA\n2,008,1.2,,2,False,"a\nb"\n3,9,2.0,-3,1e-05,True,None\n'
    )
    loaded = load(config, "a.csv")
    assert loaded["prompt"] == ["1", "2", "3"]
    assert loaded["code"] == ["007", "008", "9"]
    assert loaded["version"] == ["1.10", "1.2", "2.0"]
    assert loaded["n"] == [1, None, -3]
    assert loaded["ratio"] == [0.5, 2.0, 1e-05]
    assert loaded["ok"] == [True, False, True]
    assert loaded["word"] == ["NA", "a\nb", "None"]


def test_columns_are_renamed_and_no_other_is_lost(config, tmp_path):
    jsonl(tmp_path / "a.jsonl", [{"question": "q", "answer": "a", "source": "s"}])
    renamed = load(config, "a.jsonl", columns={"prompt": "question", "completion": "answer"})
    assert renamed.to_list() == [{"prompt": "q", "completion": "a", "source": "s"}]


def test_columns_may_change_places(config, tmp_path):
    jsonl(tmp_path / "a.jsonl", [{"chosen": "bad", "rejected": "good"}])
    swapped = load(config, "a.jsonl", columns={"chosen": "rejected", "rejected": "chosen"})
    assert swapped.to_list() == [{"rejected": "bad", "chosen": "good"}]


def test_columns_that_are_missing_or_in_the_way_are_refused(config, tmp_path):
    jsonl(tmp_path / "a.jsonl", [{"prompt": "q", "question": "a"}])
    with pytest.raises(DataError, match=r"columns.completion: the data have no column `questoin`\n.*`question`"):
        load(config, "a.jsonl", columns={"completion": "questoin"})
    with pytest.raises(DataError, match="have a column `prompt` already"):
        load(config, "a.jsonl", columns={"prompt": "question"})


def test_limit_takes_the_first_rows(config, tmp_path):
    jsonl(tmp_path / "a.jsonl", ROWS)
    assert load(config, "a.jsonl", limit=2).to_list() == ROWS[:2]
    assert len(load(config, "a.jsonl", limit=9)) == 3


def test_every_broken_line_is_named(config, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": \n[1]\n')
    with pytest.raises(DataError) as caught:
        load(config, "a.jsonl")
    assert [problem.where for problem in caught.value.problems] == [f"{tmp_path / 'a.jsonl'}:{line}" for line in (2, 3)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "holds no rows"),
        ("a.csv", b"text\n", "holds no rows"),
        ("a.json", b'[{"text": "a"}', "cut off"),
        ("a.jsonl", b'{"text": "\xff"}\n', "no UTF-8"),
        ("a.parquet", b"PAR1 no", "cannot be loaded"),
        ("a.jsonl", b'{"n": 99999999999999999999999}\n', "cannot be loaded: OverflowError"),
    ],
)
def test_a_broken_file_is_one_error(config, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(config, name)


def test_a_missing_file_is_named(config):
    with pytest.raises(DataError, match="no such file"):
        load(config, "nowhere.jsonl")


def test_loading_is_quiet(config, tmp_path, capfd):
    jsonl(tmp_path / "a.jsonl", ROWS)
    load(config, "a.jsonl")
    assert capfd.readouterr().err == ""
    assert not datasets.are_progress_bars_disabled()


# ── the hub ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "split", "expected"),
    [("data.train", None, "train"), ("data.eval", None, "test"), ("answers.data", "dev", "dev")],
)
def test_a_hub_data_set_s_split(config, monkeypatch, key, split, expected):
    asked = {}

    def answer(*args, **keys):
        asked.update(keys)
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", answer)
    assert load(config, "owner/data", key, split=split, revision="v1", columns={"question": "prompt"}).num_rows == 3
    assert asked == {"split": expected, "revision": "v1", "streaming": False}


def test_a_streamed_data_set_is_renamed_and_limited(config, monkeypatch):
    rows = datasets.Dataset.from_list(ROWS).to_iterable_dataset()
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **keys: rows)
    streamed = load(config, "owner/data", streaming=True, limit=2, columns={"text": "completion"})
    assert [row["text"] for row in streamed] == ["1", "2"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (datasets.exceptions.DatasetNotFoundError("gone"), "has no data set `owner/data`(.|\n)*hf auth login"),
        (ConnectionError("no route"), "the hub cannot be reached(.|\n)*local files"),
        (ValueError("Unknown split 'tset'."), "has no split `tset`(.|\n)*Did you mean `test`"),
        (ValueError("Config name is missing."), "names none(.|\n)*main"),
        (RuntimeError("something else"), "cannot be loaded: RuntimeError: something else"),
    ],
)
def test_what_the_hub_refuses_is_one_error(config, monkeypatch, error, message):
    def refuse(*args, **keys):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda *args, **keys: ["train", "test"])
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda *args, **keys: ["main", "socratic"])
    with pytest.raises(DataError, match=message):
        load(config, "owner/data", split="tset")


# ── fingerprints ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_a_fingerprint_tells_files_apart(config, tmp_path, suffix):
    file = tmp_path / f"data.{suffix}"
    write(file, ROWS)
    source = DataSource(path=file.name)
    first = fingerprint(source, config)
    assert first["files"][0].keys() == {"path", "sha256", "bytes", "rows"}
    assert first["files"][0]["path"] == file.resolve().as_posix()  # wherever the config lies
    assert (first["files"][0]["rows"], first["files"][0]["bytes"]) == (3, file.stat().st_size)
    assert fingerprint(source, config) == first
    write(file, [*ROWS[:2], {"prompt": "d", "completion": "3"}])
    assert fingerprint(source, config) != first
    assert json.dumps(first)


def test_a_hub_data_set_s_fingerprint_is_its_commit_or_else_its_revision(config, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import OfflineModeIsEnabled

    class Api:
        def dataset_info(self, path, revision, timeout):
            return type("Info", (), {"sha": f"commit of {revision}"})

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    source = DataSource(path="owner/data", revision="main", name="part")
    expected = {"hub": "owner/data", "name": "part", "split": None, "revision": "commit of main"}
    assert fingerprint(source, config) == expected

    def offline(*args, **keys):
        raise OfflineModeIsEnabled("offline")

    monkeypatch.setattr(Api, "dataset_info", offline)
    assert fingerprint(source, config)["revision"] == "main"
