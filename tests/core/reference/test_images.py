"""Rows with images, which are tokenised as they are collated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainwright.testing import tiny_dataset
from trainwright.testing.bench import Case, _trainer, one_step

pytest.importorskip("PIL")
FAMILIES = ("qwen2.5-vl", "gemma3-vlm")


def rows() -> list[dict[str, Any]]:
    made = tiny_dataset("vision", 6)
    return [
        {
            "images": row["images"],
            "prompt": row["messages"][:1],
            "chosen": row["messages"][1:],
            "rejected": [{"role": "assistant", "content": f"I cannot see number {number}."}],
        }
        for number, row in enumerate(made)
    ]


def asks(ctx: Any) -> Any:
    ratios = ctx.policy.sequence_logps() - ctx.reference.sequence_logps()
    return ctx.loss(ratios.chosen_minus_rejected().square(), per="pair")


@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_with_images_are_precomputed(family: str, tmp_path: Path) -> None:
    case = Case(asks, method="dpo", family=family, data=rows(), rows=6, per_device=2, accumulate=3)
    off, on = ({"max_length": None, "precompute_ref_log_probs": flag} for flag in (False, True))
    live, stored = (one_step(replace(case, training=training)) for training in (off, on))
    assert stored.loss == pytest.approx(live.loss, rel=1e-4)
    trainer = _trainer(replace(case, training=on), tmp_path)
    (entry,) = (tmp_path / "reference").glob("*/seal.json")
    before = entry.stat().st_mtime_ns
    other = rows()
    other[0]["images"] = other[1]["images"][:1] * len(other[0]["images"])
    _trainer(replace(case, training=on), tmp_path)
    assert entry.stat().st_mtime_ns == before
    _trainer(replace(case, training=on, data=other), tmp_path)
    assert len(list((tmp_path / "reference").glob("*/seal.json"))) == 2
    assert trainer.ref_model is None


def test_another_size_of_images_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trainwright.testing as kit

    case = Case(asks, method="dpo", family="gemma3-vlm", data=rows()[:2], per_device=2)
    case = replace(case, training={"max_length": None, "precompute_ref_log_probs": True})
    _trainer(case, tmp_path)
    processor = kit.tiny_processor("gemma3-vlm")
    processor.image_processor.image_mean = [0.1, 0.1, 0.1]
    monkeypatch.setattr(kit, "tiny_processing_class", lambda family: processor)
    for entries in (2, 2):
        _trainer(case, tmp_path)
        assert len(list((tmp_path / "reference").glob("*/seal.json"))) == entries


@pytest.mark.parametrize("loss_type", ["kto", "apo_zero_unpaired"])
def test_thumbs_with_images_are_precomputed(loss_type: str, tmp_path: Path) -> None:
    pytest.importorskip("trainwright_kto")
    unpaired = [
        {"images": row["images"], "prompt": row["prompt"], "completion": row["chosen"], "label": number % 2 == 0}
        for number, row in enumerate(rows())
    ]
    case = Case(
        "kto", method="kto", family="gemma3-vlm", data=unpaired, per_device=3, accumulate=2,
        settings={"loss_type": loss_type},
    )  # fmt: skip
    off, on = ({"max_length": None, "precompute_ref_log_probs": flag} for flag in (False, True))
    live, stored = (one_step(replace(case, training=training)) for training in (off, on))
    assert stored.loss == pytest.approx(live.loss, rel=1e-4)
    _trainer(replace(case, training=on), tmp_path)
    assert len(list((tmp_path / "reference").glob("*/seal.json"))) == (2 if loss_type == "kto" else 1)
