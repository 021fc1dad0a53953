"""Wherever the reference is: precomputed before training or asked in each step, it says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from reference_runs import reference_logps

BASE = {"path": "tiny"}
WAYS: dict[str, dict[str, Any]] = {
    "a second copy of the policy": {},
    "another model": {"reference": {"path": "other"}},
    "another model with an adapter": {"reference": {"path": "tiny", "adapter": "first"}},
    "the adapter off": {"lora": {"r": 2}},
    "the adapter off, another being trained": {"model": {"path": "tiny", "adapter": "first"}, "reference": BASE},
    "the adapter as it starts": {"model": {"path": "tiny", "adapter": "first"}},
    "an adapter beside a new one": {"lora": {"r": 2}, "reference": {"path": "tiny", "adapter": "first"}},
    "an adapter beside another": {
        "model": {"path": "tiny", "adapter": "first"},
        "reference": {"path": "tiny", "adapter": "second"},
    },
    "a model beside an adapter that trains biases": {"lora": {"r": 2, "bias": "all"}},
    "a model beside an adapter that takes a part of the base": {
        "lora": {"r": 2, "init_kwargs": {"init_lora_weights": "pissa"}}
    },
}


def placed(sections: dict[str, Any], models: Path) -> dict[str, Any]:
    """The sections with absolute folders."""
    return {
        key: {name: str(models / value) if name in ("path", "adapter") else value for name, value in section.items()}
        for key, section in sections.items()
    }


@pytest.fixture(params=WAYS)
def sections(request: pytest.FixtureRequest, models: Path) -> dict[str, Any]:
    return placed(WAYS[request.param], models)


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_precomputed_equals_asked_in_each_step(method: str, sections: dict[str, Any], trainer: Any) -> None:
    live = trainer(method, training={"precompute_ref_log_probs": False}, **sections)
    expected = reference_logps(live)
    stored = trainer(method, **sections)
    got = reference_logps(stored)
    assert [len(expected[part]) for part in ("own", "mismatched")] == [6, 6 if method == "kto" else 0]
    for part, values in expected.items():
        for mine, other in zip(got[part], values, strict=True):
            torch.testing.assert_close(mine, other, rtol=2e-6, atol=2e-6)
    check_nothing_left(stored, live)


def check_nothing_left(stored: Any, live: Any) -> None:
    """No reference is in memory, and the policy is as it was."""
    assert stored.ref_model is None
    assert list(getattr(stored.model, "peft_config", {"default": None})) == ["default"]
    policy = dict(stored.model.named_parameters())
    for name, weight in live.model.named_parameters():
        if ".ref." not in name:
            assert weight.equal(policy[name]), name
            assert weight.requires_grad == policy[name].requires_grad, name
    assert stored.model.training == live.model.training


def test_equal_references_share_a_cache(trainer: Any, models: Path, cache: Path) -> None:
    """The model as it starts is one model, whether a copy, the policy itself or a named model gives the answer."""
    trainer()
    made = sorted(cache.glob("*/seal.json"))
    assert len(made) == 2  # data.train and data.eval
    times = [file.stat().st_mtime_ns for file in made]
    trainer(lora={"r": 2})
    trainer(reference=str(models / "tiny"))
    trainer(loss="trl")
    assert sorted(cache.glob("*/seal.json")) == made
    assert [file.stat().st_mtime_ns for file in made] == times


def test_what_the_policy_can_be_asked_is_not_loaded_twice(trainer: Any, models: Path) -> None:
    live = {"training": {"precompute_ref_log_probs": False}}
    beside = {"path": str(models / "tiny"), "adapter": str(models / "first")}
    assert trainer(lora={"r": 2}, **live).ref_model is None
    assert trainer(lora={"r": 2}, reference=beside, **live).ref_model is None
    assert trainer(model=beside, **live).ref_model is None
    off = trainer(model=beside, reference=str(models / "tiny"), **live)
    assert off.ref_model is None
    assert list(off.model.peft_config) == ["default"]  # the adapter is not copied either
    assert trainer(lora={"r": 2, "bias": "all"}, **live).ref_model is not None
    assert trainer(**live).ref_model is not None


def test_a_cached_reference_is_not_loaded(trainer: Any, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainwright.reference import supply

    reference = str(models / "other")
    trainer(reference=reference)

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("the reference is loaded although its answers are there")

    monkeypatch.setattr(supply, "_load", refuse)
    trainer(reference=reference)


def test_a_loaded_reference_is_freed(trainer: Any, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import weakref

    from trainwright.reference import supply

    loaded, load = [], supply._load

    def keep(*arguments: Any) -> Any:
        model = load(*arguments)
        loaded.append(weakref.ref(model))
        return model

    monkeypatch.setattr(supply, "_load", keep)
    trainer(reference=str(models / "other"))
    (model,) = loaded
    assert model() is None


@pytest.mark.parametrize("sections", [{}, {"lora": {"r": 2}}], ids=["full", "lora"])
def test_a_policy_that_will_be_sharded_is_not_run(
    sections: dict[str, Any], trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under FSDP and DeepSpeed it is in no state to run before training; a model is loaded beside it, and freed."""
    from trainwright.reference import supply
    from trainwright.trainer import private

    live = trainer(training={"precompute_ref_log_probs": False}, **sections)
    loaded, load = [], supply._load
    monkeypatch.setattr(supply, "_load", lambda *arguments: loaded.append(load(*arguments)) or loaded[-1])
    monkeypatch.setattr(private, "is_sharded", lambda trainer: True)
    stored = trainer(**sections)
    assert len(loaded) == 1
    assert stored.ref_model is None
    for mine, other in zip(reference_logps(stored)["own"], reference_logps(live)["own"], strict=True):
        torch.testing.assert_close(mine, other, rtol=2e-6, atol=2e-6)
