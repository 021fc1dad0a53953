"""`training:` holds what the method's TRL config class takes, and nothing that is set or read elsewhere."""

from __future__ import annotations

import pytest

from trainwright.config.fields import trl_fields
from trainwright.config.training import SET_ELSEWHERE, check_training, deprecations, training_model
from trainwright.trainer.methods import METHODS


def said(values: dict[str, object], method: str = "sft", loss: str = "trl") -> list[str]:
    return [f"{one.key}: {one.message}\n  → {one.remedy}" for one in check_training(method, values, loss)]


def test_what_trl_takes_is_taken() -> None:
    values = {
        "learning_rate": 2e-4,
        "max_steps": 10,
        "num_train_epochs": 1,
        "warmup_steps": 0.1,
        "lr_scheduler_type": "cosine",
        "optim": "adamw_torch",
        "report_to": ["wandb", "mlflow"],
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "bf16": None,
        "eval_strategy": "steps",
        "loss_type": "dft",
        "pad_to_multiple_of": 8,
        "include_num_input_tokens_seen": True,
        "trackio_static_space_id": False,
        "deepspeed": "zero3.json",
    }
    assert said(values) == []
    assert said({"loss_type": ["sigmoid", "ipo"], "loss_weights": [1, 0.5]}, "dpo") == []


@pytest.mark.parametrize("method", METHODS)
def test_every_default_of_trl_is_taken_by_the_model_made_of_it(method: str) -> None:
    model = training_model(method)
    defaults = {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}
    model.model_validate(defaults)
    assert len(defaults) > 100
    assert not SET_ELSEWHERE.keys() & defaults.keys()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"max_step": 3}, "training.max_step: unknown key `max_step`\n  → Did you mean `max_steps`?"),
        ({"evaluation_strategy": "no"}, "→ Did you mean `eval_strategy`?"),
        ({"max_seq_length": 3}, "→ Did you mean `max_length`?"),
        ({"zzzzzz": 3}, "→ `trainwright schema` lists what `training:` takes."),
        ({"learning_rate": "2e-4"}, "expected a number, got the text '2e-4'\n  → Write the number without quotes."),
        ({"learning_rate": None}, "training.learning_rate: expected a number, got nothing (null)"),
        ({"max_steps": 2.5}, "training.max_steps: expected a whole number, got the number 2.5"),
        ({"max_steps": True}, "training.max_steps: expected a whole number, got `true`"),
        ({"packing": "yes"}, "expected `true` or `false`, got the text 'yes'\n  → Write `true`, without quotes."),
        ({"optim": "adamw"}, "got the text 'adamw'\n  → Did you mean `adamw_torch`?"),
        (
            {"packing_strategy": "bdf"},
            "expected one of bfd, bfd_split, wrapped, got the text 'bdf'\n  → Did you mean `bfd`?",
        ),
        (
            {"include_for_metrics": "loss"},
            "training.include_for_metrics: expected a list of texts, got the text 'loss'",
        ),
        ({"report_to": ["wandb", 3]}, "training.report_to.1: expected text, got the number 3"),
        ({"per_device_train_batch_size": 0}, "must be at least 1, got the number 0"),
        ({"learning_rate": float("nan")}, "training.learning_rate: must be"),
        ({"parallelism_config": {}}, "`parallelism_config` takes a Python object, which a config cannot hold"),
        (
            {"output_dir": "x"},
            "training.output_dir: `output_dir` is not set here\n  → Instead: `output:` names the run's folder",
        ),
        ({"trust_remote_code": True}, "→ Instead: `model.trust_remote_code`."),
    ],
)
def test_what_trl_does_not_take_is_refused(values: dict[str, object], expected: str) -> None:
    (only,) = said(values)
    assert expected in only


def test_every_problem_is_said() -> None:
    values = {"max_step": 1, "learning_rate": "x", "output_dir": "x", "packing": 1, "seed": 1}
    assert [line.split(":")[0].removeprefix("training.") for line in said(values)] == [
        "output_dir",
        "learning_rate",
        "packing",
        "max_step",
    ]


def test_a_field_belongs_to_its_method() -> None:
    assert said({"num_generations": 4}, "grpo") == []
    (only,) = said({"num_generations": 4}, "sft")
    assert "unknown key `num_generations`" in only


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [("sft", "loss_type", "dft"), ("dpo", "label_smoothing", 0.1), ("kto", "desirable_weight", 2.0)],
)
def test_what_only_the_loss_of_trl_reads_is_refused_beside_another_loss(method: str, name: str, value: object) -> None:
    assert said({name: value}, method, "trl") == []
    (only,) = said({name: value}, method, "acme")
    assert only.startswith(f"training.{name}: `{name}` belongs to TRL's own loss, and the loss is `acme`")
    assert "settings of `acme` stand under `loss:`" in only


def test_padding_free_pairs_are_for_plugins_losses() -> None:
    assert said({"padding_free": True}, "dpo", "acme") == []
    assert said({"padding_free": True}, "sft", "trl") == []
    assert said({"padding_free": False}, "dpo", "trl") == []
    assert said({"padding_free": True}, "kto", "acme") == []
    assert said({"padding_free": True}, "kto", "trl") == said({"padding_free": True}, "dpo", "trl")
    (only,) = said({"padding_free": True}, "dpo", "trl")
    assert only.startswith("training.padding_free: `padding_free` does nothing with `loss: trl`")


def test_deprecated_fields_are_taken_with_what_trl_says() -> None:
    values = {"pad_token": "<pad>", "seed": 1}
    assert said(values) == []
    (only,) = deprecations("sft", values)
    assert only.key == "training.pad_token"
    assert "Deprecated. Set `tokenizer.pad_token` directly" in only.remedy


@pytest.mark.parametrize("name", ["loss_type", "label_smoothing_factor", "learning_rate", "output_dir"])
def test_the_names_that_the_rules_speak_of_exist_in_trl(name: str) -> None:
    assert name in trl_fields("sft")
