"""A config against what is installed: plugins, the method's needs, TRL's fields, data; every problem in one error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from trainwright.config.check import CheckedConfig, check_again
from trainwright.data.unpaired import Labels
from trainwright.errors import ConfigError
from trainwright.hooks import PluginSettings
from trainwright.plugins.manager import PluginManager

Check = Callable[..., CheckedConfig]
Complaints = Callable[..., list[str]]
GOOD = """\
model: acme/tiny
data: {train: train.jsonl}
loss: {name: acme, chunk_size: 64}
metrics: [{name: acme, mode: exact}]
training:
  max_steps: 3
output: runs/x
"""
KTO = "method: kto\nmodel: acme/tiny\ndata: {train: thumbs.jsonl}\noutput: runs/x\n"
PAIRS = '{"prompt": "a", "chosen": "b", "rejected": "c"}\n'


def test_a_good_config_comes_back_with_settings_of_the_plugins_own_models(check: Check) -> None:
    checked = check(GOOD)
    (loss,) = checked.losses
    assert (loss.chunk_size, loss.mode) == (64, "fast")
    assert checked.metrics["acme"].mode == "exact"
    assert checked.template == PluginSettings()
    assert checked.env is None
    assert checked.training == {"max_steps": 3}
    assert checked.method.trainer == "SFTTrainer"
    assert checked.notices == ()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("loss=acm", "command line: loss: no plugin 'acm' is installed"),
        ("loss=crooked", "command line: loss: plugin 'crooked' (acme 1.0) is broken"),
        ("template=acme", "command line: template: plugin 'acme' (acme 1.0) provides"),
        ("metrics.1=mfu", "command line: metrics.1: no plugin 'mfu' is installed"),
        ("metrics.1=acme", "command line: metrics.1: metrics plugin `acme` is named twice\n  → Keep one of them."),
        ("loss.chunk_siz=3", "command line: loss.chunk_siz: unknown key `chunk_siz`\n  → Did you mean `chunk_size`?"),
        ("loss.chunk_size=big", "command line: loss.chunk_size: expected a whole number, got the text 'big'"),
        ("loss.mode=fats", "expected one of fast, exact, got the text 'fats'\n  → Did you mean `fast`?"),
        ("metrics.0.mode=slow", "command line: metrics.0.mode: expected one of fast, exact, got the text 'slow'"),
        ("loss={name: trl, x: 1}", "command line: loss.x: unknown key `x`\n  → Plugin `trl` takes no settings."),
        ("loss.learning_rate=1", "→ `learning_rate` belongs under `training:`."),
        (
            "training.max_step=1",
            "command line: training.max_step: unknown key `max_step`\n  → Did you mean `max_steps`?",
        ),
        ("training.lora={r: 8}", "→ `lora` belongs at the top level, not in a section."),
        ("training.r=8", "command line: training.r: unknown key `r`\n  → `r` belongs under `lora:`."),
        ("training.loss_type=dft", "command line: training.loss_type: `loss_type` belongs to TRL's own loss"),
        ("training.output_dir=x", "→ Instead: `output:` names the run's folder"),
        ("training.eval_strategy=epoch", "evaluation is asked for, and there is no `data.eval`\n  → Add `data.eval`"),
        ("training={fp16: true, bf16: true}", "`fp16` and `bf16` are both set\n  → Keep one of them."),
        ("training.deepspeed=ds.json", "command line: training.deepspeed: no such file: ds.json"),
        ("data=", "command line: data: method `sft` needs `data:`\n  → Add `data: {train: FILE or hub id}`."),
        ("data={train: {path: acme/rows, streaming: true}}", ""),
        ("data.train.path=trian.jsonl", "data.train.path: no such file: trian.jsonl\n  → Did you mean `train.jsonl`?"),
        ("rewards=[a:b]", "command line: rewards: method `sft` does not read `rewards:`\n  → Remove it."),
        ("training.seed=13", "13 brings bad luck [plugin acme]\n  → Take another."),
        ("training.seed=14", "validate_config of plugin 'acme' (acme 1.0) raised RuntimeError: cannot count"),
    ],
)
def test_what_does_not_fit_is_said_with_place_and_remedy(
    complaints: Complaints, check: Check, override: str, expected: str
) -> None:
    if not expected:
        check(GOOD, override)
        return
    assert any(expected in complaint for complaint in complaints(GOOD, override)), complaints(GOOD, override)


def test_problems_of_the_file_come_together_with_those_of_the_check(complaints: Complaints) -> None:
    text = GOOD.replace("max_steps", "max_step").replace("output:", "outptu:").replace("64", "none")
    text = text.replace("train.jsonl", "none.jsonl")
    assert [complaint.partition("\n")[0] for complaint in complaints(text)] == [
        "run.yaml:1: output: `output` is missing",
        "run.yaml:7: outptu: unknown key `outptu`",
        "run.yaml:3: loss.chunk_size: expected a whole number, got the text 'none'",
        "run.yaml:6: training.max_step: unknown key `max_step`",
        "run.yaml:2: data.train.path: no such file: none.jsonl",
    ]


def test_nothing_more_is_said_of_a_key_that_is_known_to_be_broken(complaints: Complaints) -> None:
    (only,) = complaints(GOOD, "data.train=3")
    assert only.startswith("command line: data.train: expected ")
    (only,) = complaints(GOOD, "model.path=3")
    assert only.startswith("command line: model.path: expected text, got the number 3")


def test_a_loss_that_does_not_serve_the_method_is_told_which_does(complaints: Complaints, folder: Path) -> None:
    (folder / "train.jsonl").write_text('{"prompt": "a", "completion": "b", "label": true}\n')
    (only,) = complaints(GOOD, "method=kto")
    assert only == (
        "run.yaml:3: loss: loss `acme` does not serve method `kto`\n  → It serves dpo, sft. Losses for `kto`: trl."
    )


def test_a_method_without_units_takes_the_loss_of_trl_only(complaints: Complaints, check: Check, folder: Path) -> None:
    (folder / "train.jsonl").write_text(PAIRS)
    (only,) = complaints(GOOD, "method=reward")
    assert "loss `acme` does not serve method `reward`" in only
    assert check(GOOD, "method=reward", "loss=trl").method.name == "reward"


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("grpo", "run.yaml:1: rewards: method `grpo` needs `rewards:` or `env:`\n  → Add `rewards:` or `env:`."),
        ("gkd", "run.yaml:1: teacher: method `gkd` needs `teacher:`\n  → Add `teacher:`."),
        ("distillation", "teacher: method `distillation` needs `teacher:`"),
    ],
)
def test_a_method_says_what_it_cannot_do_without(complaints: Complaints, method: str, expected: str) -> None:
    assert expected in "\n".join(complaints(GOOD, f"method={method}", "loss=trl"))


@pytest.mark.parametrize(
    ("method", "section", "expected"),
    [
        ("dpo", "teacher=acme/big", "method `dpo` does not read `teacher:`"),
        ("reward", "reference=acme/big", "method `reward` does not read `reference:`"),
        ("sft", "teacher=acme/big", "the loss `trl` of method `sft` does not read `teacher:`"),
        ("reward", "answers={data: train.jsonl}", "a reward model gives scores, not answers"),
    ],
)
def test_a_section_that_nothing_would_read_is_refused(
    complaints: Complaints, method: str, section: str, expected: str
) -> None:
    assert expected in "\n".join(complaints(GOOD, f"method={method}", section, "loss=trl"))


def test_a_reference_model_that_the_loss_never_reads_is_refused(complaints: Complaints, folder: Path) -> None:
    (folder / "train.jsonl").write_text(PAIRS)
    (only,) = complaints(GOOD, "method=dpo", "reference=acme/base")
    assert only == "command line: reference: the loss `acme` does not read `reference:`\n  → Remove it."


MIX = "loss=[{name: acme, chunk_size: 8}, {name: sft, weight: 0.1}]"


def test_losses_of_a_list_have_weights_and_settings_of_their_own(check: Check, folder: Path) -> None:
    (folder / "train.jsonl").write_text(PAIRS)
    checked = check(GOOD, "method=dpo", MIX, "loss.1.weight=0.2")
    assert [(term.name, term.weight) for term in checked.config.losses.values()] == [("acme", 1.0), ("sft", 0.2)]
    assert (checked.losses[0].chunk_size, checked.losses[1]) == (8, PluginSettings())
    assert not checked.config.native


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["loss=[]"], "command line: loss: an empty list names no loss"),
        (["loss=[{name: acme}, {name: acm}]"], "command line: loss.1: no plugin 'acm' is installed"),
        (["loss.1=acme"], "loss.1: the loss `acme` is named twice\n  → Keep one, with the sum of weights."),
        (["loss.1=trl"], "command line: loss.1: `trl` cannot be mixed: TRL divides its loss by itself"),
        (["loss.1.weight=0"], "command line: loss.1.weight: must be greater than 0, got the number 0"),
        (["loss.1.weight=-2"], "command line: loss.1.weight: must be greater than 0, got the number -2"),
        (["loss.1.weight=.nan"], "command line: loss.1.weight: must be "),
        (["loss.1.weight=.inf"], "command line: loss.1.weight: must be a finite number, got inf"),
        (["loss.1.weight='2'"], "loss.1.weight: expected a number, got the text '2'\n  → Write the number without"),
        (["loss.1.weight=true"], "command line: loss.1.weight: expected a number, got `true`"),
        (["loss.1.wieght=2"], "command line: loss.1.wieght: unknown key `wieght`"),
        (["loss.0.chunk_siz=2"], "loss.0.chunk_siz: unknown key `chunk_siz`\n  → Did you mean `chunk_size`?"),
        (["loss.1={weight: 2}"], "command line: loss.1.name: `loss.1.name` is missing"),
        (["loss.1=3"], "command line: loss.1: expected a mapping, got the number 3"),
        (["loss=3"], "command line: loss: expected a mapping or a list, got the number 3"),
        (["loss={name: acme, weight: 2}"], "→ `weight` belongs to each of several losses: `loss: [{name: …, weight"),
        (["method=sft"], "loss `sft` does not serve method `sft`\n  → It serves dpo. Losses for `sft`: acme, trl."),
        (["reference=acme/base"], "command line: reference: the loss `acme + sft` does not read `reference:`"),
        (["training.loss_type=[sft]"], "`loss_type` belongs to TRL's own loss, and the loss is `acme + sft`"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_list_of_losses(
    complaints: Complaints, folder: Path, overrides: list[str], expected: str
) -> None:
    (folder / "train.jsonl").write_text(PAIRS)
    said = complaints(GOOD, "method=dpo", MIX, *overrides)
    mine = [complaint for complaint in said if "messages" not in complaint]
    assert [complaint for complaint in mine if expected in complaint] == mine
    assert len(mine) == 1


def test_a_plugin_loss_may_read_a_teacher(check: Check) -> None:
    assert check(GOOD, "teacher=acme/big").config.teacher is not None


def test_deprecated_fields_are_notices_not_problems(check: Check) -> None:
    (notice,) = check(GOOD, "training.pad_token=x").notices
    assert "pad_token` is deprecated in TRL" in notice.message
    assert notice.where == "command line: training.pad_token"


def test_files_of_settings_are_made_absolute(check: Check, folder: Path) -> None:
    (folder / "ds.json").write_text("{}")
    checked = check(GOOD, "training.fsdp_config=ds.json", 'training.accelerator_config="{}"')
    assert checked.training["fsdp_config"] == str(folder / "ds.json")
    assert checked.training["accelerator_config"] == "{}"


def test_answers_need_a_right_answer(complaints: Complaints, folder: Path) -> None:
    (folder / "held_out.jsonl").write_text('{"text": "no answer in here"}\n')
    (only,) = complaints(GOOD, "answers.data=held_out.jsonl")
    assert only.startswith("held_out.jsonl:1: missing columns: the rows have `text`")


def test_packages_that_a_setting_needs_are_sought_before_the_run(
    complaints: Complaints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainwright.config.needs.find_spec", lambda name: None)
    said = "\n".join(complaints(GOOD, "lora.quantize=4bit", "training.use_liger_kernel=true"))
    assert "lora.quantize: quantised training needs the package bitsandbytes, which is not installed" in said
    assert "→ pip install 'trainwright[qlora]'" in said
    assert (
        "`use_liger_kernel` needs the package liger_kernel, which is not installed\n  → pip install liger-kernel"
        in said
    )


def test_a_rule_may_warn_without_stopping_the_run(check: Check, folder: Path) -> None:
    (notice,) = check(GOOD, "training.seed=12").notices
    assert str(notice) == "command line: training.seed: 12 is too even [plugin acme]"
    assert not notice.fatal


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (['{"prompt": "a", "completion": "b", "label": true}'] * 3, "3 desirable and 0 undesirable rows"),
        (['{"prompt": "a", "completion": "b", "label": false}'], None),
        ([PAIRS.strip()] * 2, None),
    ],
)
def test_rules_know_the_labels_of_local_data(check: Check, folder: Path, rows: list[str], expected: str | None) -> None:
    (folder / "thumbs.jsonl").write_text("\n".join(rows) + "\n")
    checked = check(KTO)
    assert [notice.message for notice in checked.notices] == ([f"nothing is disliked: {expected}"] if expected else [])
    labels = checked.config.labels("data.train")
    assert labels is not None
    assert labels.pairs == (2 if "chosen" in rows[0] else 0)
    assert checked.config.labels("data.eval") is None


def test_csv_rows_have_labels_too(check: Check, folder: Path) -> None:
    (folder / "thumbs.csv").write_text("prompt,completion,label\na,b,True\na,b,false\na,b,true\n")
    labels = check(KTO, "data.train=thumbs.csv").config.labels("data.train")
    assert str(labels) == "2 desirable and 1 undesirable rows"


def test_rules_are_asked_again_when_data_are_loaded(check: Check, manager: PluginManager) -> None:
    checked = check(KTO, "data.train=somebody/thumbs", "training.seed=12")
    assert checked.config.labels("data.train") is None
    assert check_again(checked, manager) == [], "12 was said before"
    checked.config.note_labels("data.train", Labels(4, 0))
    assert [problem.message for problem in check_again(checked, manager)] == [
        "nothing is disliked: 4 desirable and 0 undesirable rows"
    ]


def test_a_rule_that_finds_a_problem_only_then_stops_the_run(check: Check, manager: PluginManager) -> None:
    checked = check(GOOD)
    late = replace(checked, config=checked.config.model_copy(update={"training": {"seed": 13}}))
    with pytest.raises(ConfigError, match="bad luck"):
        check_again(late, manager)
