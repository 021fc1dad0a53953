"""The plugin through the command: checked, previewed and trained, from thumbs and from pairs; nothing is silent."""

from __future__ import annotations

import json

import pytest
import yaml

from trainwright.cli import main
from trainwright.testing import save_tiny, tiny_dataset

TRAINING = {"max_steps": 2, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 4, "logging_steps": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny("llama", tmp_path_factory.mktemp("model"))


@pytest.fixture
def command(model, tmp_path, capsys):
    """`command("validate", rows, loss, **sections)` → (exit code, stdout, stderr)."""

    def run(verb, rows, loss="kto", **sections):
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        config = {
            "method": "kto",
            "model": str(model),
            "data": {"train": "rows.jsonl"},
            "loss": loss,
            "training": TRAINING | {"save_strategy": "no"},
            "output": str(tmp_path / "run"),
        }
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(config | sections))
        code = main([verb, str(tmp_path / "c.yaml")])
        return code, *capsys.readouterr()

    return run


def thumbs(up, down):
    rows = tiny_dataset("unpaired", 2 * max(up, down))
    return [row for row in rows if row["label"]][:up] + [row for row in rows if not row["label"]][:down]


def test_a_balanced_set_is_counted_and_not_warned_of(command):
    code, said, warned = command("validate", thumbs(4, 4))
    assert code == 0
    assert "4 desirable and 4 undesirable rows" in said
    assert warned == ""


@pytest.mark.parametrize(
    ("up", "down", "weights", "said"),
    [
        (6, 3, {}, "6 desirable rows of weight 1 weigh 2 times as much as 3 undesirable ones of weight 1"),
        (6, 3, {}, "Set `desirable_weight` between 0.5 and 0.667, or `undesirable_weight` between 1.5 and 2."),
        (2, 6, {}, "weigh 0.333 times as much"),
        (4, 4, {"desirable_weight": 1.5}, "weigh 1.5 times as much"),
        (3, 0, {}, "all 3 rows are desirable: the loss has nothing to tell apart"),
        (0, 3, {}, "all 3 rows are undesirable"),
    ],
)
def test_what_is_out_of_balance_is_warned_of_with_its_place(command, up, down, weights, said):
    code, _, warned = command("validate", thumbs(up, down), {"name": "kto", **weights})
    assert code == 0
    assert warned.startswith("warning: ")
    assert "c.yaml:" in warned
    assert said in warned
    assert "[plugin kto]" in warned


@pytest.mark.parametrize(
    ("up", "down", "weights"),
    [
        (6, 3, {"undesirable_weight": 2.0}),
        (6, 3, {"desirable_weight": 0.667}),
        (4, 3, {}),
        (4, 4, {"desirable_weight": 1.33}),
        (2, 6, {"desirable_weight": 3}),
    ],
)
def test_what_is_in_balance_is_not(command, up, down, weights):
    assert command("validate", thumbs(up, down), {"name": "kto", **weights})[2] == ""


def test_nobody_counts_a_stream(command, tmp_path):
    data = {"train": {"path": "somebody/thumbs", "streaming": True}}
    code, _, warned = command("validate", [], data=data)
    assert code == 0
    assert "nobody can count the desirable and undesirable rows of streamed data" in warned


def test_wrong_settings_are_told_once(command):
    code, _, said = command("validate", thumbs(6, 3), {"name": "kto", "beta": -1})
    assert code == 1
    assert said.count("beta") == 1
    assert "validate_config" not in said


def test_other_losses_are_not_judged(command):
    training = TRAINING | {"per_device_train_batch_size": 2}
    assert command("validate", thumbs(6, 3), "trl", training=training)[2] == ""


def test_pairs_are_validated_previewed_and_trained(command, tmp_path):
    pairs = tiny_dataset("pairs", 8)
    code, said, warned = command("validate", pairs)
    assert (code, warned) == (0, "")
    assert "8 desirable and 8 undesirable rows of 8 pairs" in said
    code, said, _ = command("preview", pairs)
    assert code == 0
    assert [line.split(":")[0] for line in said.splitlines() if line.startswith("──")][:2] == [
        "── row 1 (desirable)",
        "── row 2 (undesirable)",
    ]
    assert said.splitlines()[-1] == "data.train: 8 desirable and 8 undesirable rows of 8 pairs"
    code, _, _ = command("train", pairs)
    assert code == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    first = next(line for line in lines if line["split"] == "train")
    assert first["rewards/accuracies"] == 0.0, "the policy is the reference: every answer lies at the reference point"
    assert {"rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "kl", "entropy"} <= first.keys()
    assert first["kl"] == 0.0


def test_labels_of_a_loaded_data_set_are_judged_when_training_starts(command, tmp_path, monkeypatch):
    """As of a hub data set, whose rows nobody sees before."""
    from datasets import Dataset

    rows = thumbs(6, 2)
    monkeypatch.setattr("trainwright.data.load.load_hub", lambda *args, **named: Dataset.from_list(rows))
    monkeypatch.setattr("trainwright.data.load.resolved_revision", lambda source: None)
    data = {"train": {"path": "somebody/thumbs"}}
    assert command("validate", [], data=data)[2] == ""
    code, _, _ = command("train", [], data=data)
    assert code == 0
    log = (tmp_path / "run" / "run.log").read_text()
    assert "data.train: 6 desirable and 2 undesirable rows" in log
    assert "6 desirable rows of weight 1 weigh 3 times as much as 2 undesirable ones" in log


def test_mixed_with_another_loss(command, tmp_path):
    code, _, _ = command("train", thumbs(4, 4), [{"name": "kto", "beta": 0.2}])
    assert code == 0
