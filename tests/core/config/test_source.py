"""YAML is read as YAML 1.2, with the line of every key; what is no config is refused with line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainwright.config.source import read_file, read_text
from trainwright.errors import ConfigError


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_file(path)
    return str(caught.value).replace(f"{path.parent}/", "")


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "run.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-4", 2e-4),
        ("1_000", 1000),
        ("010", 10),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("2024-01-01", "2024-01-01"),
        ("1.5", 1.5),
        ("'1.5'", "1.5"),
        (".5", 0.5),
        ("package:x", "package:x"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    read = read_text(f"key: {text}", "x").values["key"]
    assert read == value
    assert type(read) is type(value)


def test_every_key_and_item_has_its_line() -> None:
    source = read_text("a: 1\n\nb:\n  c: 2\n  d: {e: 3}\nf:\n  - 4\n  - g: 5\n", "run.yaml")
    assert source.places == {
        "": "run.yaml:1",
        "a": "run.yaml:1",
        "b": "run.yaml:3",
        "b.c": "run.yaml:4",
        "b.d": "run.yaml:5",
        "b.d.e": "run.yaml:5",
        "f": "run.yaml:6",
        "f.0": "run.yaml:7",
        "f.1": "run.yaml:8",
        "f.1.g": "run.yaml:8",
    }


def test_a_key_given_twice_is_a_problem_that_names_both_lines() -> None:
    source = read_text("model: x\ntraining:\n  seed: 1\n  max_steps: 2\n  seed: 3\n", "run.yaml")
    (problem,) = source.problems
    assert str(problem) == (
        "run.yaml:5: training.seed: key `seed` is given twice, in lines 3 and 5\n  → Keep one of them."
    )


def test_anchors_and_merges_mean_what_they_mean_in_yaml() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 9}\nd: *a\n"
    values = read_text(text, "x").values
    assert values["c"] == {"x": 9, "y": 2, "z": 4}
    assert values["d"] == {"x": 1, "y": 2}


def test_a_reference_to_itself_is_a_problem_and_ends() -> None:
    source = read_text("a: &a {b: *a}", "run.yaml")
    assert "run.yaml:1: a.b: an anchor that holds a reference to itself" in str(source.problems[0])


def test_a_tag_of_python_is_a_problem_and_makes_nothing() -> None:
    source = read_text("a: !!python/object:os.system {}\nb: !secret x\n", "run.yaml")
    assert source.values["b"] is None
    assert "run.yaml:2: b: unknown YAML tag `!secret`" in str(source.problems[-1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2\nb: 3\n", "run.yaml:2:2: not YAML: expected ',' or ']', but got ':'"),
        ("a:\n\tb: 1\n", "run.yaml:2:1: not YAML: found character '\\t' that cannot start any token\n  → Indent with"),
        ("a: *.jsonl\n", "put the value in quotes"),
        ("a: 1\n---\nb: 2\n", "Keep one document"),
        ("a: b: c\n", "run.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("", "run.yaml:1: the file is empty\n  → A config needs at least `model:` and `output:`."),
        ("# nothing\n", "run.yaml:1: the file is empty"),
        ("- a\n- b\n", "run.yaml:1: expected `key: value` lines at the top of the file"),
        ("just text\n", "run.yaml:1: expected `key: value` lines"),
        (b"a: 1\nb: \xff\n", "run.yaml:2: not text: byte 0xff is no UTF-8\n  → Save the file as UTF-8."),
        (b"a: 1\nb: \x00\n", "run.yaml:2: not YAML: "),
    ],
)
def test_what_is_no_config_is_refused_with_its_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert message in refusal(written(tmp_path, text))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "none.yaml: no such file\n  → Give the path of a config file" in refusal(tmp_path / "none.yaml")
    assert "cannot be read" in refusal(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, b"\xef\xbb\xbfmethod: sft\n")).values == {"method": "sft"}
