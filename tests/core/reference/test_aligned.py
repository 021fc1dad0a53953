"""One path for DPO and KTO: the same assertions over both, from the arguments to what is saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from reference_runs import make

from trainwright.cli import main
from trainwright.errors import RunError
from trainwright.trainer.bind import training_arguments
from trainwright.trainer.methods import METHODS

LOSSES = {"dpo": "sigmoid_norm", "kto": "kto"}
for plugin in LOSSES.values():
    pytest.importorskip(f"trainwright_{plugin}")

OF_BOTH = {
    "entropy", "mean_token_accuracy",
    *(f"rewards/{name}" for name in ("chosen", "rejected", "margins", "accuracies")),
    *(f"{kind}/{which}" for kind in ("logps", "logits") for which in ("chosen", "rejected")),
}  # fmt: skip
OF_THE_TRAINER = {
    "loss", "grad_norm", "learning_rate", "num_tokens",
    "step", "epoch", "split", "time/tokens_per_second", "time/seconds_per_step", "time/elapsed",
}  # fmt: skip
START = {"dpo": torch.tensor(2.0).log().item(), "kto": 0.5}
"""The loss of a policy that is its reference."""
LORA = {"lora": {"r": 2, "target_modules": ["q_proj", "v_proj"]}}
LIVE = {"training": {"precompute_ref_log_probs": False}}


@pytest.fixture(params=LOSSES)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def built(write: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    """`built(method, **sections)`: the trainer of a run, before training."""
    return lambda method, **sections: make(write(method, loss=LOSSES[method], **sections), tmp_path / "trainer")


@pytest.fixture
def ran(write: Callable[..., Path], tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """`ran(method, name, **sections)`: what a run with two steps and an evaluation before and after them logs."""

    def run(method: str, name: str = "run", training: dict[str, Any] | None = None, **sections: Any) -> Any:
        values = {"learning_rate": 1e-3, "eval_strategy": "steps", "eval_steps": 2, "eval_on_start": True}
        path = write(
            method,
            training=values | (training or {}),
            loss=sections.pop("loss", LOSSES[method]),
            output=str(tmp_path / name),
            **sections,
        )
        assert main(["train", str(path)]) == 0
        return [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]

    return run


def of(split: str, logged: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in logged if entry["split"] == split]


# ── arguments ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_arguments_have_the_same_defaults(tmp_path: Path) -> None:
    dpo, kto = (training_arguments(METHODS[name], {}, tmp_path).to_dict() for name in LOSSES)
    differing = {name for name in dpo.keys() & kto.keys() if dpo[name] != kto[name]}
    # Of TRL; for KTO it must read rows in order, a plugin's loss need not.
    assert differing - {"logging_dir"} == {"train_sampling_strategy", "loss_type"}


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"beta": 0.2}, "`beta` belongs to TRL's own loss, and the loss is"),
        ({"loss_type": "x"}, "`loss_type`"),
        ({"max_lenght": 3}, "Did you mean `max_length`?"),
        ({"sync_ref_model": True}, "`sync_ref_model` changes the reference in training"),
        ({"model_init_kwargs": {}}, "`model.init_kwargs`"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_are_refused_with_the_same_words(
    method: str, training: Any, expected: str, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", str(write(method, loss=LOSSES[method], training=training))]) == 1
    assert expected in capsys.readouterr().err


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_run_has_a_copy_for_its_reference(method: str, built: Callable[..., Any]) -> None:
    trainer = built(method, **LIVE)
    policy, reference = trainer.model, trainer.ref_model
    assert reference is not policy
    assert not reference.training
    assert all(weight.requires_grad for weight in policy.parameters())
    assert not any(weight.requires_grad for weight in reference.parameters())
    for (name, mine), (other, theirs) in zip(policy.named_parameters(), reference.named_parameters(), strict=True):
        assert name == other
        assert mine.equal(theirs)
        assert mine.dtype == theirs.dtype
        assert mine.data_ptr() != theirs.data_ptr()


def test_dropout_is_off_in_policy_and_reference(method: str, built: Callable[..., Any], models: Path) -> None:
    sections = {"model": {"path": str(models / "tiny"), "init_kwargs": {"attention_dropout": 0.4}}, **LORA}
    trainer = built(method, **{**sections, "lora": {**LORA["lora"], "dropout": 0.4}}, **LIVE)
    assert not [m for m in trainer.model.modules() if isinstance(m, torch.nn.Dropout) and m.p]


def test_a_new_adapter_is_all_that_is_trained(method: str, built: Callable[..., Any]) -> None:
    trainer = built(method, **LORA, **LIVE)
    trained = [name for name, weight in trainer.model.named_parameters() if weight.requires_grad]
    assert trained
    assert all(".lora_" in name and ".default." in name for name in trained)
    assert trainer.ref_model is None
    assert list(trainer.model.peft_config) == ["default"]


def test_an_adapter_that_goes_on_has_a_frozen_copy(method: str, built: Callable[..., Any], models: Path) -> None:
    trainer = built(method, model={"path": str(models / "tiny"), "adapter": str(models / "first")}, **LIVE)
    assert trainer.ref_model is None
    assert list(trainer.model.peft_config) == ["default", "ref"]
    weights = dict(trainer.model.named_parameters())
    copies = {name.replace(".default.", ".ref."): weight for name, weight in weights.items() if ".default." in name}
    assert copies
    assert all(weights[name].equal(weight) and not weights[name].requires_grad for name, weight in copies.items())


def test_an_adapter_on_the_head_is_taken_which_trl_refuses(method: str, ran: Callable[..., Any]) -> None:
    lora = {"lora": {"r": 2, "target_modules": ["q_proj", "lm_head"]}}
    first, _ = of("train", ran(method, **lora))
    assert first["loss"] == pytest.approx(START[method], rel=1e-6)


def test_trl_refuses_an_adapter_on_the_head(method: str, built: Callable[..., Any], write: Any, tmp_path: Path) -> None:
    lora = {"lora": {"r": 2, "target_modules": ["q_proj", "lm_head"]}}
    with pytest.raises(RunError, match="lm_head"):
        make(write(method, loss="trl", **lora), tmp_path / "trainer")


# ── training, evaluation, saving ─────────────────────────────────────────────────────────────────────────────────────


def test_metrics_have_the_same_names(method: str, ran: Callable[..., Any]) -> None:
    own = OF_BOTH | ({"kl"} if method == "kto" else set())
    logged = ran(method, **LIVE)
    (first, second), (before, after) = of("train", logged), of("eval", logged)
    assert set(first) == set(second) == own | OF_THE_TRAINER
    assert {name for name in before if not name.startswith("time/")} == {
        "step", "epoch", "split", "eval_loss", *(f"eval_{name}" for name in own)
    }  # fmt: skip
    assert after.keys() == before.keys()
    assert first["num_tokens"] < second["num_tokens"]


def test_a_policy_that_is_its_reference_has_no_reward(method: str, ran: Callable[..., Any]) -> None:
    before, after = of("eval", ran(method, **LORA, **LIVE))
    assert before["eval_loss"] == pytest.approx(START[method], rel=1e-6)
    for name in OF_BOTH:
        if name.startswith("rewards/"):
            assert before[f"eval_{name}"] == pytest.approx(0, abs=1e-6)
            assert after[f"eval_{name}"] != before[f"eval_{name}"]
    assert after["eval_logps/chosen"] < 0 < after["eval_entropy"]


def test_evaluation_changes_nothing_about_training(method: str, ran: Callable[..., Any]) -> None:
    def numbers(logged: Any) -> Any:
        return [{k: v for k, v in entry.items() if not k.startswith("time/")} for entry in of("train", logged)]

    quiet = {"eval_strategy": "no", "eval_on_start": False, **LIVE["training"]}
    assert numbers(ran(method, "with", **LORA, **LIVE)) == numbers(ran(method, "without", **LORA, training=quiet))


@pytest.mark.parametrize("sections", [LORA, {}], ids=["lora", "full"])
def test_precomputed_it_is_the_same_run(
    method: str, sections: dict[str, Any], ran: Callable[..., Any], cache: Path, tmp_path: Path
) -> None:
    live, stored = ran(method, "live", **sections, **LIVE), ran(method, "stored", **sections)
    assert len(list(cache.glob("*/seal.json"))) == (4 if method == "kto" else 2)  # train and eval, and mismatched rows
    assert "reference log-probs of data.train: 12 rows" in (tmp_path / "stored" / "run.log").read_text()
    for mine, other in zip(stored, live, strict=True):
        assert mine.keys() == other.keys()
        for name in {"loss", "eval_loss", "grad_norm"} & mine.keys():
            assert mine[name] == pytest.approx(other[name], rel=1e-4), name


@pytest.mark.parametrize(
    ("sections", "files"),
    [(LORA, {"adapter_model.safetensors", "adapter_config.json"}), ({}, {"model.safetensors", "config.json"})],
    ids=["lora", "full"],
)
def test_what_is_saved(
    method: str, sections: dict[str, Any], files: set[str], ran: Callable[..., Any], tmp_path: Path
) -> None:
    training = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1}
    ran(method, **sections, training=training)
    model = tmp_path / "run" / "model"
    assert files | {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} <= {
        path.name for path in model.iterdir()
    }
    assert not list(model.glob("**/*ref*"))
    (kept,) = (tmp_path / "run" / "checkpoints").glob("checkpoint-*")
    assert kept.name == "checkpoint-2"
    assert files <= {path.name for path in kept.iterdir()}


def test_a_saved_adapter_goes_on_as_the_next_runs_reference(
    method: str, ran: Callable[..., Any], models: Path, tmp_path: Path
) -> None:
    ran(method, "first", **LORA, **LIVE)
    adapter = {"path": str(models / "tiny"), "adapter": str(tmp_path / "first" / "model")}
    before, _ = of("eval", ran(method, "second", model=adapter, **LIVE))
    assert before["eval_loss"] == pytest.approx(START[method], rel=1e-6)
    before, _ = of("eval", ran(method, "third", model=adapter, reference=str(models / "tiny"), **LIVE))
    assert before["eval_loss"] != pytest.approx(START[method], rel=1e-6)
