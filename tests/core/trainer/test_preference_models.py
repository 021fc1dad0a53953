"""DPO and KTO on models that are more than a text decoder, with images, or experts and a router's loss; beside TRL."""

from dataclasses import replace

import pytest

from trainwright.testing import tiny_dataset
from trainwright.testing.bench import Case, on_ranks, one_step
from trainwright.testing.loss_contract import FLOAT32_ROUNDING, assert_equal

NATIVE = {"dpo": {"loss_type": ["sigmoid_norm"], "beta": 5.0}, "kto": {"beta": 0.1}}
LOSSES = {"dpo": "sigmoid_norm", "kto": "kto"}
for plugin in LOSSES.values():
    pytest.importorskip(f"trainwright_{plugin}")
METRICS = (
    "entropy", "num_tokens",
    *(f"{kind}/{which}" for kind in ("logps", "logits") for which in ("chosen", "rejected")),
)  # fmt: skip


def rows(method, images):
    """Six rows, no two prompts alike: TRL mismatches equal ones with their own answers."""
    pairs = tiny_dataset("pairs", 6)
    for number, (row, seen) in enumerate(zip(pairs, tiny_dataset("vision", 6), strict=True)):
        row["prompt"][0]["content"] += f" ({number})"
        if images:
            row["images"] = seen["images"]
    if method == "dpo":
        return pairs
    shared = ("prompt", "images") if images else ("prompt",)
    return [
        {name: row[name] for name in shared} | {"completion": row["chosen" if up else "rejected"], "label": up}
        for row, up in zip(pairs, [True, False] * 3, strict=True)
    ]


def case(method, family, **changes):
    images = family == "gemma3-vlm"
    if images:
        pytest.importorskip("PIL")
    training = {"max_length": None, **changes.pop("training", {})}
    given = {"loss": LOSSES[method], "data": rows(method, images), "rows": 6, "per_device": 6, "training": training}
    return Case(method=method, family=family, **{**given, **changes})


@pytest.mark.parametrize("family", ["gemma3-vlm", "mixtral"])
@pytest.mark.parametrize("method", LOSSES)
def test_on_one_batch_it_is_trls(method, family):
    mine = one_step(case(method, family))
    theirs = one_step(case(method, family, loss="trl", training=NATIVE[method]))
    assert_equal(mine, theirs, FLOAT32_ROUNDING)
    aux = {"aux_loss"} if family == "mixtral" else set()
    for name in (*METRICS, *aux):
        assert mine.history[0][name] == pytest.approx(theirs.history[0][name], rel=1e-4), name


@pytest.mark.parametrize("method", LOSSES)
def test_with_images_it_does_not_depend_on_micro_batches_and_ranks(method):
    whole = one_step(case(method, "gemma3-vlm"))
    ragged = one_step(case(method, "gemma3-vlm", per_device=4, accumulate=2))
    assert_equal(ragged, whole, FLOAT32_ROUNDING)


@pytest.mark.slow
def test_on_two_ranks_it_is_the_same():
    """With images; and with an adapter on a mixture of experts, without the router's loss, which is each rank's own."""
    cases = [case(method, "gemma3-vlm", per_device=6) for method in LOSSES]
    lora = {"peft": {"r": 2, "target_modules": ["q_proj"], "init_lora_weights": False}}
    cases += [case(method, "mixtral", training={"router_aux_loss_coef": 0.0}, **lora) for method in LOSSES]
    halves = on_ranks([replace(each, per_device=3) for each in cases])
    for each, half in zip(cases, halves, strict=True):
        assert_equal(half, one_step(each), FLOAT32_ROUNDING)
