"""`trainwright template show|check|export` with the provider `derived`, and with `auto` beside it."""

from __future__ import annotations

import json

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from trainwright.cli import main
from trainwright.testing import save_tiny, tiny_tokenizer

GOOD = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny("qwen3", tmp_path_factory.mktemp("models") / "tiny"))


def run(capsys, *words):
    capsys.readouterr()
    code = main(["template", *words])
    return code, capsys.readouterr()


def test_show_says_how_and_why_and_marks_a_conversation(model, capsys):
    code, said = run(capsys, "show", model, "--provider", "derived")
    assert code == 0
    assert "resolved by derived: family qwen3" in said.out
    assert "training template: " in said.out
    assert "responses: hermes" in said.out
    assert "⟦A machine that grinds.<|im_end|>⟧" in said.out


def test_the_default_is_auto(model, capsys):
    code, said = run(capsys, "show", model)
    assert "resolved by auto: " in said.out
    assert code in (0, 1)  # auto refuses templates that rewrite the past, and says so
    assert code == 0 or "refused" in said.out


def test_check_tries_the_providers_own_conversations(model, capsys):
    code, said = run(capsys, "check", model, "--provider", "derived")
    assert code == 0
    assert "conversations have a verified mask" in said.out.splitlines()[-1]
    assert "masked multi3: " in said.out
    assert "dropped_reasoning: " in said.out


def test_check_of_a_file_ends_with_1_where_a_row_is_refused(model, capsys, tmp_path):
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps(GOOD) + "\n")
    assert run(capsys, "check", model, "--provider", "derived", "--data", str(data))[0] == 0
    data.write_text(json.dumps(GOOD) + "\n" + json.dumps({"messages": GOOD["messages"][:1]}) + "\n")
    code, said = run(capsys, "check", model, "--provider", "derived", "--data", str(data))
    assert code == 1
    assert f"refused {data}:2: the conversation ends with a turn of role 'user'" in said.out
    assert said.out.splitlines()[-1].startswith("1 of 2 conversations have a verified mask, 1 are refused")


def test_a_line_ends_where_json_lines_end(model, capsys, tmp_path):
    """A line separator of Unicode may stand in a JSON string as it is; blank lines are none."""
    data = tmp_path / "rows.jsonl"
    row = {"messages": [{"role": "user", "content": "Q\u2028Q"}, GOOD["messages"][1]]}
    data.write_text("\n" + json.dumps(row, ensure_ascii=False) + "\n\n", encoding="utf-8")
    code, said = run(capsys, "check", model, "--provider", "derived", "--data", str(data))
    assert code == 0
    assert f"masked {data}:2: " in said.out


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "rows.jsonl:1: not JSON"), ("\n[]", "rows.jsonl:2: a JSON list is no row"), (None, "no such file")],
)
def test_a_file_that_is_none(text, message, model, capsys, tmp_path):
    data = tmp_path / "rows.jsonl"
    if text:
        data.write_text(text)
    code, said = run(capsys, "check", model, "--provider", "derived", "--data", str(data))
    assert code in (1, 2)
    assert message in said.err


def test_export_writes_a_template_with_the_same_masks_for_other_programs(model, capsys, tmp_path):
    file = tmp_path / "training.jinja"
    assert run(capsys, "export", model, "--provider", "derived", "--output", str(file))[0] == 0
    own = tiny_tokenizer("qwen3").chat_template
    texts, ranges = render_jinja_template(
        conversations=[GOOD["messages"]], chat_template=file.read_text(), return_assistant_tokens_mask=True
    )
    assert texts == render_jinja_template(conversations=[GOOD["messages"]], chat_template=own)[0]
    assert "".join(texts[0][start:end] for start, end in ranges[0]).strip().endswith("A<|im_end|>")


def test_a_provider_that_is_not_there(model, capsys):
    code, said = run(capsys, "show", model, "--provider", "derivd")
    assert code in (1, 2)
    assert "derived" in said.err


def test_explain_says_which_step_resolved_the_models_template(model, capsys, tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(GOOD) + "\n")
    config = tmp_path / "run.yaml"
    config.write_text(
        f"method: sft\nmodel: {model}\ndata: {{train: rows.jsonl}}\ntemplate: derived\n"
        "training: {max_steps: 1, assistant_only_loss: true}\noutput: run\n"
    )
    assert main(["explain", str(config), "--model"]) == 0
    said = capsys.readouterr().out
    assert "the model's chat template: derived: family qwen3" in said
    assert "probe conversations with a mask: single, system, multi2, tool_call, reasoning\n" in said
    assert "masks: derived from the rendering of each conversation, and verified for each\n" in said
    assert "the training template is for `template export`: this run does not use it\n" in said
    assert main(["explain", str(config), "--model", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["template"]["source"] == "derived: family qwen3"
    assert main(["explain", str(config), "--model", "template=auto"]) == 0
    assert "the model's chat template: auto: " in capsys.readouterr().out
    assert main(["explain", "--model"]) == 2
    assert "give the config" in capsys.readouterr().err
