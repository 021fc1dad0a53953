"""Bad input through `trainwright train`: one clear message with place and remedy, exit code 1, nothing left behind."""

import json

import pytest
import yaml

from trainwright.cli import main
from trainwright.testing import save_tiny, tiny_dataset, tiny_tokenizer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_tiny("llama", tmp_path_factory.mktemp("model"))


@pytest.fixture
def attempt(checkpoint, tmp_path, capsys):
    """`attempt(sections, rows)` trains and returns (exit code, stderr, whether the output folder is there)."""

    def run(sections, rows):
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "data.jsonl").write_text(text)
        training = {"max_steps": 2, "per_device_train_batch_size": 2, "logging_steps": 1} | sections.pop("training", {})
        output = tmp_path / "run"
        config = {"model": str(checkpoint), "data": {"train": "data.jsonl"}, "output": str(output)}
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(config | sections | {"training": training}))
        code = main(["train", str(tmp_path / "c.yaml")])
        return code, capsys.readouterr().err, output.exists()

    return run


ROWS = tiny_dataset("messages", 8)
ASK = {"role": "user", "content": "What?"}
MASKED = {"training": {"assistant_only_loss": True}}
CASES = {
    "unknown key": ({"lorra": {"r": 2}}, ROWS, ["c.yaml:", "`lorra`", "lora"]),
    "unknown key, deep": ({"lora": {"rank": 2}}, ROWS, ["c.yaml:", "rank"]),
    "unknown training field": ({"training": {"learning_rat": 1e-3}}, ROWS, ["learning_rat", "learning_rate"]),
    "wrong type": ({"lora": {"r": "many"}}, ROWS, ["lora.r", "number"]),
    "missing file": ({"data": {"train": "no.jsonl"}}, ROWS, ["no.jsonl"]),
    "no rows": ({}, "", ["data.jsonl", "no rows"]),
    "missing columns": ({}, [{"question": "x"}], ["data.jsonl:1", "messages"]),
    "mixed formats": ({}, [ROWS[0], {"text": "plain"}], ["data.jsonl:2"]),
    "broken line": ({}, json.dumps(ROWS[0]) + "\n{broken\n", ["data.jsonl:2"]),
    "ends with the user": ({}, [{"messages": [ASK]}], ["data.jsonl:1", "assistant"]),
    "no supervised token": (
        MASKED | {"training": {"assistant_only_loss": True, "max_length": 3}},
        ROWS,
        ["data.train"],
    ),
    "unknown loss": ({"loss": "nlll"}, ROWS, ["loss", "nlll"]),
    "disabled loss": ({"plugins": {"disable": ["trl"]}}, ROWS, ["'trl'", "disabled"]),
    "no such model": ({"model": "./nowhere"}, ROWS, ["model", "nowhere"]),
    "no such package": ({"model": "package:no-such-package"}, ROWS, ["no-such-package"]),
    "NaN loss": ({"training": {"learning_rate": 1e38, "max_grad_norm": 0.0, "max_steps": 6}}, ROWS, ["NaN", "step"]),
}


@pytest.mark.parametrize("name", CASES)
def test_one_message_exit_1_nothing_left(name, attempt):
    sections, rows, said = CASES[name]
    code, error, left = attempt(dict(sections), rows)
    assert code == 1
    assert error.count("error:") == 1
    assert "Traceback" not in error
    for words in said:
        assert words in error, error
    assert left == (name == "NaN loss")  # that run has taken steps: its folder is kept


def test_a_mask_that_supervises_everything_is_refused(attempt, tmp_path):
    """A template whose whole text is the assistant's."""
    turn = "{% generation %}{{ message.content }}{{ eos_token }}{% endgeneration %}"
    (tmp_path / "all.jinja").write_text("{% for message in messages %}" + turn + "{% endfor %}")
    rows = [{"messages": [{"role": "assistant", "content": "Hello there."}]}]
    code, error, left = attempt({"template": "all.jinja", **MASKED}, rows)
    assert (code, left) == (1, False)
    assert "every" in error


def test_the_output_of_another_run_is_not_touched(attempt):
    assert attempt({}, ROWS)[0] == 0
    code, error, left = attempt({}, ROWS)
    assert (code, left) == (1, True)
    assert "holds another run" in error
    assert "trainwright resume" in error


def test_tokenizers_of_the_kit_have_no_markers():
    """Else the masks above would not be derived."""
    assert "generation" not in tiny_tokenizer("llama").chat_template.replace("add_generation_prompt", "")
