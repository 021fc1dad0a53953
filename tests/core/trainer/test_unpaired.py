"""Rows with thumbs on TRL's KTO trainer: taken apart, mismatched by window, in any order and split; all counted."""

import logging
from dataclasses import replace

import pytest
import torch

from trainwright.errors import DataError, RunError
from trainwright.loss.supervision import KEY
from trainwright.testing import tiny_dataset
from trainwright.testing.bench import Case, _trainer, one_step
from trainwright.trainer import hooked, private


def ratios(model, other):
    return model.sequence_logps() - other.sequence_logps()


def mismatched(ctx):
    return ratios(ctx.policy.mismatched, ctx.reference.mismatched)


def loss(ctx):
    sign = torch.where(ctx.batch["label"], -1.0, 1.0)
    own = sign * (ratios(ctx.policy, ctx.reference) - ctx.window_mean(mismatched))
    return ctx.loss(torch.sigmoid(0.1 * own), per="sequence")


def plain(ctx):
    return ctx.loss(-ctx.policy.sequence_logps(), per="sequence")


CASE = Case(loss, method="kto", rows=6, per_device=2, accumulate=3)


def prepared(case, folder):
    return _trainer(case, folder).train_dataset


def test_rows_are_mismatched_within_a_window(tmp_path):
    rows = prepared(CASE, tmp_path)
    completions = rows["completion_ids"][:]
    assert rows["KL_completion_ids"][:] == completions[-1:] + completions[:-1]


def test_the_mismatched_rows_of_a_batch(tmp_path):
    trainer = _trainer(CASE, tmp_path)
    first, second, *_ = [trainer.train_dataset[number] for number in range(6)]
    batch = trainer.data_collator([first, second])
    found = batch[KEY]["mismatched"]
    assert found["targets"].tolist() == first["KL_completion_ids"] + second["KL_completion_ids"]
    assert found["lengths"].tolist() == [len(first["KL_completion_ids"]), len(second["KL_completion_ids"])]
    flat = batch["KL_input_ids"].flatten()
    assert flat[found["index"] + 1].tolist() == found["targets"].tolist()


@pytest.mark.parametrize("agreed", [True, False])
def test_ranks_that_hold_shards_of_a_reference_ask_each_other_how_often_it_runs(agreed, monkeypatch):
    """Once or twice a micro-batch, for all alike: each run gathers the parameters from all of them."""
    asked = []
    monkeypatch.setattr(hooked, "on_every_rank", lambda wanted: asked.append(wanted) or (wanted and agreed))
    expected = one_step(CASE)
    assert not asked, "a rank that holds all parameters decides alone"
    monkeypatch.setattr(private, "is_sharded", lambda trainer: True)
    found = one_step(CASE)
    assert asked == [True, True], "the reference had run on the first micro-batch's own rows before"
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)


def test_a_micro_batch_may_hold_one_row_which_trl_refuses():
    whole = one_step(replace(CASE, per_device=6, accumulate=1))
    ones = one_step(replace(CASE, per_device=1, accumulate=6))
    assert ones.loss == pytest.approx(whole.loss, rel=1e-5)
    for name, gradient in whole.gradients.items():
        torch.testing.assert_close(ones.gradients[name], gradient, rtol=1e-3, atol=1e-6)
    with pytest.raises(RunError, match="batch size must be > 1"):
        one_step(replace(CASE, loss="trl", per_device=1, accumulate=6))


def test_rows_may_be_read_in_any_order_which_trl_refuses():
    shuffled = replace(CASE, training={"train_sampling_strategy": "random"})
    assert one_step(shuffled).loss == pytest.approx(one_step(CASE).loss, rel=1e-5), "one window holds all rows"
    with pytest.raises(RunError, match="sequential"):
        one_step(replace(shuffled, loss="trl"))


def test_a_reference_runs_once_for_own_and_mismatched_rows_and_the_policy_twice():
    calls = {"policy": 0, "reference": 0}

    def count(name):
        return lambda *args: calls.update({name: calls[name] + 1})

    def wrap(trainer):
        trainer.model.register_forward_hook(count("policy"))
        trainer.ref_model.register_forward_hook(count("reference"))

    def eager(ctx):
        ctx.window_mean(mismatched)
        return loss(ctx)

    one_step(replace(CASE, loss=eager, wrap=wrap))
    assert calls == {"policy": 6, "reference": 3}


@pytest.mark.parametrize("peft", [None, {"r": 2, "target_modules": ["q_proj"]}])
def test_one_pass_over_both_equals_two(peft):
    seen = []

    def apart(ctx):
        ctx.reference.sequence_logps()  # has run when the mismatched rows are asked for
        seen.append((ctx.reference.sequence_logps(), ctx.reference.mismatched.sequence_logps()))
        return plain(ctx)

    def together(ctx):
        other = ctx.reference.mismatched.sequence_logps()
        seen.append((ctx.reference.sequence_logps(), other))
        return plain(ctx)

    for each in (apart, together):
        one_step(replace(CASE, loss=each, accumulate=1, dtype="float64", peft=peft))
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(one.as_subclass(torch.Tensor), other.as_subclass(torch.Tensor), rtol=1e-5, atol=1e-6)


def test_pairs_become_two_rows_each(tmp_path):
    pairs = [{"prompt": f"{n}? ", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(3)]
    rows = prepared(replace(CASE, data=pairs), tmp_path)
    assert rows["label"][:] == [True, False] * 3
    completions = rows["completion_ids"][:]
    assert len(set(map(tuple, completions))) == 6
    others = [completions.index(completion) for completion in rows["KL_completion_ids"][:]]
    assert others == [4, 5, 0, 1, 2, 3], "an answer to the same prompt is not mismatched"


def test_rows_that_are_left_out_are_counted(tmp_path, caplog):
    rows = tiny_dataset("unpaired", 6)
    rows[2]["prompt"][0]["content"] = "long " * 200
    case = replace(CASE, data=rows, training={"max_length": 120})
    for loss_of in (loss, "trl"):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="trainwright"):
            assert len(prepared(replace(case, loss=loss_of), tmp_path)) == 5
        said = [record.getMessage() for record in caplog.records if record.name.startswith("trainwright")]
        assert said == ["data.train: 1 of 6 rows are left out: their prompt alone has max_length=120 tokens or more"]
    with pytest.raises(DataError, match="no row of 6 is left"):
        prepared(replace(case, training={"max_length": 2}), tmp_path)


def test_trl_does_not_judge_weights_that_nothing_reads(tmp_path, monkeypatch):
    from trl.trainer import kto_trainer

    said = []
    monkeypatch.setattr(kto_trainer.logger, "warning", lambda message, *args, **named: said.append(message))
    for loss_of, judged in ((loss, False), ("trl", True)):
        prepared(replace(CASE, loss=loss_of, data=tiny_dataset("unpaired", 6)[:5]), tmp_path)
        assert any("desirable_weight" in message for message in said) == judged


def test_labels_that_are_none_are_refused(tmp_path):
    rows = [{**row, "label": "up"} for row in tiny_dataset("unpaired", 4)]
    with pytest.raises(DataError, match="labels are true or false, and here are others: 'up'"):
        prepared(replace(CASE, data=rows), tmp_path)


def test_a_single_row_has_no_mismatched_one():
    with pytest.raises(RunError, match="no mismatched rows"):
        one_step(replace(CASE, rows=1, per_device=1, accumulate=1))
    with pytest.raises(RunError, match="no mismatched rows"):
        one_step(Case(lambda ctx: ctx.loss(ctx.policy.mismatched.token_logps().logps, per="token")))


def test_rows_of_one_kind_log_no_margin():
    def logging_loss(ctx):
        ctx.log_rewards(ratios(ctx.policy, ctx.reference))
        return loss(ctx)

    liked = [{**row, "label": True} for row in tiny_dataset("unpaired", 6)]
    both = one_step(replace(CASE, loss=logging_loss)).history[0]
    one = one_step(replace(CASE, loss=logging_loss, data=liked)).history[0]
    assert both["rewards/margins"] == pytest.approx(both["rewards/chosen"] - both["rewards/rejected"], rel=1e-5)
    assert {"rewards/chosen", "logps/chosen"} <= one.keys()
    assert not {"rewards/rejected", "rewards/margins", "logps/rejected"} & one.keys()


def test_evaluation_mismatches_its_own_rows(tmp_path):
    trainer = _trainer(replace(CASE, training={"per_device_eval_batch_size": 4}), tmp_path)
    from datasets import Dataset

    found = trainer.evaluate(Dataset.from_list(tiny_dataset("unpaired", 5, seed=3)))
    assert 0 < found["eval_loss"] < 1


VISION = ("qwen2.5-vl", "gemma3-vlm")


def image_rows(rows):
    made = tiny_dataset("vision", rows)
    return [
        {"images": row["images"], "prompt": row["messages"][:1], "completion": row["messages"][1:], "label": n % 2 == 0}
        for n, row in enumerate(made)
    ]


def image_case(family, rows=6, **changes):
    pytest.importorskip("PIL")
    training = {"max_length": None, **changes.pop("training", {})}
    given = {"data": image_rows(rows), "rows": rows, "training": training, **changes}
    return replace(CASE, family=family, **given)


@pytest.mark.parametrize("family", VISION)
def test_rows_with_images_are_cut_into_micro_batches_at_will(family):
    whole = one_step(image_case(family, per_device=6, accumulate=1))
    ragged = one_step(image_case(family, per_device=4, accumulate=2))
    assert 0 < whole.loss < 1
    assert ragged.loss == pytest.approx(whole.loss, rel=1e-5)
    for name, gradient in whole.gradients.items():
        torch.testing.assert_close(ragged.gradients[name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", VISION)
@pytest.mark.parametrize("max_length", [None, 30])
def test_mismatched_rows_with_images_are_those_that_trl_makes(family, max_length, tmp_path):
    """TRL exchanges the answers of a micro-batch; so does the window, where it is one micro-batch."""
    case = image_case(family, rows=4, per_device=4, accumulate=1, training={"max_length": max_length})
    batches = []
    for each in (case, replace(case, loss="trl")):
        trainer = _trainer(each, tmp_path)
        batches.append(trainer.data_collator([trainer.train_dataset[number] for number in range(4)]))
    mine, theirs = batches
    assert {name for name in mine if name.startswith("KL_")} == {name for name in theirs if name.startswith("KL_")}
    for name in ("input_ids", "completion_mask", "attention_mask", "token_type_ids", "mm_token_type_ids"):
        if name in mine:
            width = mine[f"KL_{name}"].shape[1]
            assert mine[f"KL_{name}"].equal(theirs[f"KL_{name}"][:, :width]), name
            assert not theirs["KL_attention_mask"][:, width:].any()


def test_pairs_with_images_become_two_rows_each_which_trl_refuses(tmp_path):
    rows = image_rows(3)
    pairs = [{"images": row["images"], "prompt": row["prompt"]} for row in rows]
    for number, row in enumerate(pairs):
        row["chosen"] = [{"role": "assistant", "content": f"It is number {number}."}]
        row["rejected"] = [{"role": "assistant", "content": f"No idea, number {number}."}]
    case = image_case("gemma3-vlm", data=pairs, rows=3)
    made = prepared(case, tmp_path)
    assert made["label"][:] == [True, False] * 3
    assert [len(row["images"]) for row in made] == [len(row["images"]) for row in pairs for _ in range(2)]
    others = [made["completion"][:].index(answer) for answer in made["KL_completion"][:]]
    assert others == [4, 5, 0, 1, 2, 3], "an answer to the same prompt and images is not mismatched"
    assert 0 < one_step(case).loss < 1
    with pytest.raises(RunError, match="Paired format"):
        prepared(replace(case, loss="trl"), tmp_path)


@pytest.mark.parametrize("images", [False, True])
def test_a_loss_that_asks_for_no_mismatched_rows_has_none(images, tmp_path):
    pytest.importorskip("trainwright_kto")
    case = image_case("gemma3-vlm") if images else CASE
    for loss_type, there in (("apo_zero_unpaired", False), ("kto", True)):
        trainer = _trainer(replace(case, loss="kto", settings={"loss_type": loss_type}), tmp_path)
        assert any(name.startswith("KL_") for name in trainer.train_dataset.column_names) == there
        assert ("mismatched" in trainer.data_collator([trainer.train_dataset[0]])[KEY]) == there
