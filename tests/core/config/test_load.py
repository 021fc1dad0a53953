"""A config's own keys: what is unknown, missing or of a wrong type is said in plain words, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainwright.config.load import draft_config, load_config, load_dict
from trainwright.errors import ConfigError

GOOD = "model: acme/tiny\noutput: runs/x\n"


def said(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("methd: dpo", "run.yaml:3: methd: unknown key `methd`\n  → Did you mean `method`?"),
        ("lora: {rank: 8}", "run.yaml:3: lora.rank: unknown key `rank`\n  → Known: alpha, bias, dora,"),
        (
            "data:\n  train:\n    path: a.jsonl\n    colums: {}",
            "run.yaml:6: data.train.colums: unknown key `colums`\n  → Did you mean `columns`?",
        ),
        (
            "answers: {data: {path: a, limt: 2}}",
            "run.yaml:3: answers.data.limt: unknown key `limt`\n  → Did you mean `limit`?",
        ),
        (
            "learning_rate: 1",
            "run.yaml:3: learning_rate: unknown key `learning_rate`\n  → `learning_rate` belongs under `training:`.",
        ),
        ("dora: true", "run.yaml:3: dora: unknown key `dora`\n  → `dora` belongs under `lora:`."),
        (
            "max_new_tokens: 3",
            "run.yaml:3: max_new_tokens: unknown key `max_new_tokens`\n  → `max_new_tokens` belongs under `answers:`.",
        ),
        ("output_dir: x", "→ `output_dir` belongs elsewhere: `output:` names the run's folder"),
        (
            "lora: {training: {}}",
            "run.yaml:3: lora.training: unknown key `training`\n  → `training` belongs at the top level",
        ),
        ("zzzz: 1", "run.yaml:3: zzzz: unknown key `zzzz`"),
    ],
)
def test_an_unknown_key_at_any_depth_is_told_what_was_meant(tmp_path: Path, lines: str, expected: str) -> None:
    (only,) = said(tmp_path, GOOD + lines)
    assert expected in only


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            "lora: {r: '16'}",
            "run.yaml:3: lora.r: expected a whole number, got the text '16'\n  → Write the number without quotes.",
        ),
        ("lora: {r: 1.5}", "lora.r: expected a whole number, got the number 1.5"),
        ("lora: {r: true}", "lora.r: expected a whole number, got `true`"),
        ("lora: {r: 0}", "run.yaml:3: lora.r: must be at least 1, got the number 0"),
        ("lora: {dropout: 1}", "lora.dropout: must be less than 1, got the number 1"),
        ("lora: {alpha: .nan}", "lora.alpha: must be a finite number, got nan"),
        (
            "lora: {dora: yes}",
            "lora.dora: expected `true` or `false`, got the text 'yes'\n  → Write `true`, without quotes.",
        ),
        (
            "lora: {bias: al}",
            "lora.bias: expected one of none, all, lora_only, got the text 'al'\n  → Did you mean `all`?",
        ),
        ("lora: 16", "run.yaml:3: lora: expected a mapping, got the number 16"),
        ("lora: [r, 16]", "run.yaml:3: lora: expected a mapping, got a list"),
        ("telemetry: 1", "telemetry: expected `true` or `false`, got the number 1"),
        ("rewards: f.py:g", "rewards: expected a list of texts, got the text 'f.py:g'"),
        (
            "rewards: [f.py:g, 3]",
            'run.yaml:3: rewards.1: expected text, got the number 3\n  → Write it in quotes: "3".',
        ),
        ("data: {train: {path: [a, 3]}}", "run.yaml:3: data.train.path.1: expected text, got the number 3"),
        ("data: {train: {path: {}}}", "data.train.path: expected text or a list of texts, got a mapping"),
        ("data: {}", "run.yaml:3: data.train: `data.train` is missing\n  → Add `train:` the training data."),
        ("metrics: mfu", "run.yaml:3: metrics: expected a list, got the text 'mfu'"),
        (
            "metrics:\n- mfu\n- {}",
            "run.yaml:5: metrics.1.name: `metrics.1.name` is missing\n  → Add `name:` the plugin's name",
        ),
        ("method: dop", "run.yaml:3: method: unknown method 'dop'; known: sft, dpo,"),
        ("method: dop", "→ Did you mean `dpo`?"),
        ("training: fast", "run.yaml:3: training: expected a mapping, got the text 'fast'"),
        ("plugins: {disable: mfu}", "plugins.disable: expected a list of texts, got the text 'mfu'"),
    ],
)
def test_a_wrong_value_is_described_in_plain_words(tmp_path: Path, lines: str, expected: str) -> None:
    (only,) = said(tmp_path, GOOD + lines)
    assert expected in only


def test_a_missing_key_is_placed_in_the_file(tmp_path: Path) -> None:
    assert said(tmp_path, "model: {revision: main}\n") == [
        "run.yaml:1: model.path: `model.path` is missing\n"
        "  → Add `path:` hub id, folder, or `package:NAME` for a GGUF inside an installed package.",
        "run.yaml:1: output: `output` is missing\n  → Add `output:` the run's folder.",
    ]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = "model: {pth: x}\nmodel: y\nlora: {r: 0, dora: yes}\nlr: 1\n"
    keys = {line.split(": ")[1] for line in said(tmp_path, text)}
    assert keys == {"model", "model.path", "model.pth", "output", "lora.r", "lora.dora", "lr"}


def test_a_draft_is_the_config_without_what_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("model: {dtype: bf16}\ndata: {trian: x}\nlora: {r: x, dora: true}\nmetrics: [{}, mfu]\n")
    draft = draft_config(path)
    assert draft.config is not None
    assert draft.config.lora is not None
    assert (draft.config.lora.r, draft.config.lora.dora) == (16, True)
    assert [choice.name for choice in draft.config.metrics] == ["mfu"]
    assert {"model.path", "output", "lora.r", "data.train"} <= draft.broken
    with pytest.raises(ConfigError):
        draft.settled()


def test_a_mapping_is_read_like_a_file(tmp_path: Path) -> None:
    values = {"model": "acme/tiny", "output": "x", "loss": {"name": "trl"}, "training": {"max_steps": 3}}
    config = load_dict(values, folder=tmp_path)
    assert config.loss.name == "trl"
    assert config.folder == tmp_path
    with pytest.raises(ConfigError, match=r"^modle: unknown key `modle`"):
        load_dict({**values, "modle": 1})


def test_the_defaults_are_those_of_the_reference(tmp_path: Path) -> None:
    config = load_dict({"model": "acme/tiny", "output": "x"})
    assert (config.method, config.loss.name, config.template.name) == ("sft", "trl", "auto")
    assert config.data is None


def test_relative_paths_are_sought_beside_the_config_then_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, here = tmp_path / "beside", tmp_path / "here"
    for folder in (beside, here):
        folder.mkdir()
        (folder / "both.txt").touch()
    (here / "only.txt").touch()
    (beside / "run.yaml").write_text(GOOD)
    monkeypatch.chdir(here)
    config = load_config(beside / "run.yaml")
    assert config.resolve("both.txt") == beside / "both.txt"
    assert config.resolve("only.txt") == here / "only.txt"
    assert config.resolve("neither.txt") == beside / "neither.txt"
