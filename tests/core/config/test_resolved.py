"""The resolved config says everything, holds no secret, and yields the same run from any folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainwright.config.load import load_config
from trainwright.config.resolved import dump_resolved, resolved_values
from trainwright.config.secrets import is_secret, redact

TEXT = """\
method: grpo
model: {path: ./tiny, adapter: lora}
reference: acme/base
data:
  train: {path: [a.jsonl, "more/*.jsonl"], columns: {prompt: question}}
  eval: acme/rows
loss: {name: acme, table: table.csv, note: "1e-4", nothing: null, deep: {file: sub/deep.txt}}
rewards: [rewards.py:f, "package.module:g"]
lora: {dropout: 1.0e-3, target_modules: [q_proj, "^x.*"]}
training: {learning_rate: 2e-4, max_steps: 3, deepspeed: ds.json, bf16: null}
metrics: [mfu, {name: time, unit: s}]
output: runs/x
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    for name in ("tiny", "lora", "more", "sub"):
        (folder / name).mkdir(parents=True)
    for name in ("a.jsonl", "more/b.jsonl", "table.csv", "sub/deep.txt", "ds.json", "rewards.py"):
        (folder / name).touch()
    (folder / "run.yaml").write_text(TEXT)
    return folder / "run.yaml"


def test_it_yields_the_same_config_from_another_folder(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(written)
    other = tmp_path / "elsewhere" / "config.yaml"
    other.parent.mkdir()
    other.write_text(dump_resolved(config))
    values = resolved_values(config)
    monkeypatch.chdir(tmp_path)
    assert resolved_values(load_config(other)) == values
    assert dump_resolved(load_config(other)) == other.read_text()


def test_paths_are_absolute_and_what_is_no_path_stays(written: Path) -> None:
    values = resolved_values(load_config(written))
    here = str(written.parent)
    assert values["output"] == str(Path.cwd() / "runs/x")
    assert (values["model"]["path"], values["model"]["adapter"]) == (f"{here}/tiny", f"{here}/lora")
    assert values["reference"]["path"] == "acme/base"
    assert values["data"]["train"]["path"] == [f"{here}/a.jsonl", f"{here}/more/*.jsonl"]
    assert values["data"]["eval"]["path"] == "acme/rows"
    assert values["rewards"] == [f"{here}/rewards.py:f", "package.module:g"]
    assert values["training"]["deepspeed"] == f"{here}/ds.json"
    assert values["loss"] == {
        "name": "acme",
        "table": f"{here}/table.csv",
        "note": "1e-4",
        "nothing": None,
        "deep": {"file": f"{here}/sub/deep.txt"},
    }


def test_defaults_are_filled_in(written: Path) -> None:
    values = resolved_values(load_config(written))
    assert values["template"] == {"name": "auto"}
    assert values["lora"]["r"] == 16
    assert values["telemetry"] is False


def test_secrets_are_left_out_and_the_rest_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        "model: acme/tiny\ntraining: {hub_token: hf_1, eos_token: </s>, seed: 1}\n"
        "loss: {name: acme, api_key: k1, url: 'https://me:pw1@host/x'}\noutput: x\n"
    )
    text = dump_resolved(load_config(path))
    assert not [secret for secret in ("hf_1", "k1", "pw1") if secret in text]
    path.write_text(text)
    config = load_config(path)
    assert config.training == {"hub_token": None, "eos_token": "</s>", "seed": 1}
    assert config.loss.settings == {"api_key": None, "url": "https://host/x"}


@pytest.mark.parametrize(
    "name", ["hub_token", "HF_TOKEN", "api_key", "apikey", "OPENAI_API_KEY", "password", "client_secret", "token"]
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["pad_token", "eos_token", "tokens", "max_new_tokens", "token_ids", "key", "monkey", "secretary"]
)
def test_names_that_only_look_like_secrets(name: str) -> None:
    assert not is_secret(name)


def test_redaction_goes_to_any_depth_and_changes_nothing_else() -> None:
    values = {"a": [{"hub_token": "x", "n": 1}, "http://u:p@h/"], "token": None, "max_new_tokens": 3}
    assert redact(values) == {"a": [{"hub_token": "***", "n": 1}, "http://h/"], "token": None, "max_new_tokens": 3}
    assert values["a"][0] == {"hub_token": "x", "n": 1}  # type: ignore[index]
