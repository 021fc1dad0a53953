"""Local data are checked row by row: what cannot be trained on is refused with file, line and item."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainwright.config.load import load_config
from trainwright.data.check import MOST_PROBLEMS, check_source
from trainwright.trainer.methods import METHODS

USER = {"role": "user", "content": "1+1?"}
BOT = {"role": "assistant", "content": "2"}
OTHER = {"role": "assistant", "content": "3"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
TURNS = [USER, BOT]
Said = Callable[..., list[str]]


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """What is said about rows, or about the text of a file, with names of files relative to their folder."""

    def run(
        content: list[Any] | str | bytes,
        method: str = "sft",
        name: str = "rows.jsonl",
        extra: str = "{}",
        **source: Any,
    ) -> list[str]:
        text = content if isinstance(content, str | bytes) else "".join(json.dumps(row) + "\n" for row in content)
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        config_file = tmp_path / "run.yaml"
        data = json.dumps({"path": name, **source})
        config_file.write_text(f"method: {method}\nmodel: m\ndata:\n  train: {data}\ntraining: {extra}\noutput: x\n")
        config = load_config(config_file)
        assert config.data is not None
        problems = check_source(config.data.train, config, METHODS[method], "data.train")
        return [str(problem).replace(f"{tmp_path}/", "") for problem in problems]

    return run


GOOD: list[tuple[str, Any]] = [
    ("sft", {"messages": TURNS}),
    ("sft", {"messages": [{"role": "system", "content": "Be brief."}, *TURNS, *TURNS], "tools": []}),
    ("sft", {"messages": [USER, CALL, {"role": "tool", "content": "3"}, BOT]}),
    ("sft", {"messages": [USER, CALL]}),
    ("sft", {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}, BOT]}),
    ("sft", {"conversations": [{"from": "user", "value": "a"}, {"from": "assistant", "value": "b"}]}),
    ("sft", {"prompt": "a", "completion": "b"}),
    ("sft", {"prompt": [USER], "completion": [BOT]}),
    ("sft", {"text": "a", "id": 3}),
    ("sft", {"input_ids": [1, 2, 3]}),
    ("dpo", {"prompt": "a", "chosen": "b", "rejected": "c"}),
    ("dpo", {"prompt": [USER], "chosen": [BOT], "rejected": [OTHER]}),
    ("dpo", {"chosen": TURNS, "rejected": [USER, OTHER]}),
    ("kto", {"prompt": "a", "completion": "b", "label": False}),
    ("kto", {"prompt": [USER], "completion": [CALL], "label": True}),
    ("kto", {"prompt": "a", "chosen": "b", "rejected": "c"}),
    ("kto", {"chosen": TURNS, "rejected": [USER, OTHER]}),
    ("reward", {"chosen": "a", "rejected": "b"}),
    ("grpo", {"prompt": [USER], "answer": 2}),
    ("rloo", {"prompt": "a"}),
    ("gkd", {"messages": TURNS}),
    ("distillation", {"messages": [USER]}),
]


@pytest.mark.parametrize(("method", "row"), GOOD, ids=str)
def test_rows_as_trl_knows_them_pass(said: Said, method: str, row: dict[str, Any]) -> None:
    assert said([row, row], method) == []


BAD: list[tuple[str, Any, str]] = [
    ("sft", {"messages": [USER]}, "rows.jsonl:2: messages: the conversation ends with the user, not the assistant"),
    ("sft", {"messages": [USER]}, "→ End it with what the assistant should say, or remove the row."),
    ("sft", {"messages": []}, "rows.jsonl:2: messages: the conversation is empty\n  → Remove the row."),
    ("sft", {"messages": "hello"}, "rows.jsonl:2: messages: expected a conversation, got the text 'hello'"),
    ("sft", {"messages": ["hello"]}, "rows.jsonl:2: messages: expected a conversation, got a list"),
    ("sft", {"messages": [USER, 3]}, "rows.jsonl:2: messages.1: expected a message, got the number 3"),
    ("sft", {"messages": [{"content": "a"}, BOT]}, "rows.jsonl:2: messages.0: the message has no `role`"),
    ("sft", {"messages": [{"rol": "user", "content": "a"}, BOT]}, "→ Rename `rol` to `role`."),
    ("sft", {"messages": [{"role": "user"}, BOT]}, "rows.jsonl:2: messages.0: the message has no `content`"),
    ("sft", {"messages": [USER, {"role": "assistant", "content": None}]}, "messages.1: the message has no `content`"),
    (
        "sft",
        {"messages": [{"role": 3, "content": "a"}, BOT]},
        "messages.0.role: expected a role such as `user`, got the number 3",
    ),
    (
        "sft",
        {"messages": [{"role": "human", "content": "a"}, BOT]},
        "chat templates know no role `human`\n  → Call it `user`.",
    ),
    (
        "sft",
        {"messages": [{"role": "user", "content": 5}, BOT]},
        "messages.0.content: expected text or a list of parts, got the number 5",
    ),
    ("sft", {"messages": [{"role": "user", "content": []}, BOT]}, "messages.0.content: the list of parts is empty"),
    (
        "sft",
        {"messages": [{"role": "user", "content": [{"text": "a"}]}, BOT]},
        "messages.0.content.0: not a part of a message",
    ),
    (
        "sft",
        {"messages": [{"role": "user", "content": [{"type": "text"}]}, BOT]},
        "messages.0.content.0: not a part of a message",
    ),
    (
        "sft",
        {"prompt": "a", "completion": [BOT]},
        "rows.jsonl:2: prompt: `prompt` is plain text and `completion` a conversation",
    ),
    (
        "sft",
        {"prompt": [USER], "completion": [USER]},
        "completion: the conversation ends with the user, not the assistant",
    ),
    ("sft", {"prompt": "a", "completion": 3}, "completion: expected text or a conversation, got the number 3"),
    ("sft", {"text": " "}, "rows.jsonl:2: text: the text is empty\n  → Remove the row."),
    ("sft", {"text": ["a"]}, "text: expected text, got a list"),
    ("sft", {"input_ids": "1 2"}, "input_ids: expected a list of token ids, got the text '1 2'"),
    ("sft", {"input_ids": [1, "2"]}, "input_ids: expected a list of token ids"),
    ("dpo", {"chosen": TURNS, "rejected": [USER]}, "rejected: the conversation ends with the user, not the assistant"),
    (
        "dpo",
        {"prompt": [USER], "chosen": "b", "rejected": "c"},
        "chosen: `chosen` is plain text and `prompt` a conversation",
    ),
    ("kto", {"prompt": "a", "completion": "b", "label": 1}, "label: expected `true` or `false`, got the number 1"),
    ("kto", {"prompt": "a", "completion": " \n", "label": True}, "rows.jsonl:2: completion: the answer is empty"),
    ("kto", {"prompt": "a", "chosen": "b", "rejected": ""}, "rows.jsonl:2: rejected: the answer is empty"),
    (
        "kto",
        {"prompt": [USER], "completion": [{"role": "assistant", "content": ""}], "label": True},
        "rows.jsonl:2: completion: the answer is empty: all there is to learn is to say nothing\n  → Remove the row.",
    ),
    ("dpo", {"prompt": "a", "chosen": "", "rejected": "b"}, "rows.jsonl:2: chosen: the answer is empty"),
    ("reward", {"chosen": "b", "rejected": " "}, "rows.jsonl:2: rejected: the answer is empty"),
    *(
        (
            method,
            {"chosen": "b", "rejected": "b"}
            if method == "reward"
            else {"prompt": [USER], "chosen": [BOT], "rejected": [BOT]},
            "rows.jsonl:2: rejected: the two answers are equal: neither can be preferred\n  → Remove the row.",
        )
        for method in ("dpo", "kto", "reward")
    ),
    ("grpo", {"prompt": []}, "rows.jsonl:2: prompt: the conversation is empty"),
]


@pytest.mark.parametrize(("method", "row", "expected"), BAD, ids=str)
def test_a_row_that_cannot_be_trained_on_is_refused_with_line_and_item(
    said: Said, method: str, row: dict[str, Any], expected: str
) -> None:
    good = next(good for known, good in GOOD if known == method and row.keys() <= good.keys())
    assert expected in "\n".join(said([good, row], method))


def test_every_problem_of_a_row_is_said(said: Said) -> None:
    row = {"messages": [{"role": "human", "content": 3}, {"content": "x"}]}
    assert [line.split(": ")[1] for line in said([row])] == ["messages.0.role", "messages.0.content", "messages.1"]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (
            {"prompt": "a", "completion": "b"},
            "`prompt` and `completion` as plain values, the first one `messages` as conversations (rows.jsonl:1)",
        ),
        ({"text": "a"}, "this row holds `text` as plain values, the first one `messages` as conversations"),
        (
            {"messages": [{"from": "user", "value": "a"}, {"from": "assistant", "value": "b"}]},
            "conversations of `from` and `value`",
        ),
    ],
)
def test_mixed_formats_are_refused(said: Said, second: dict[str, Any], expected: str) -> None:
    (only,) = said(
        [
            {"messages": TURNS},
            second,
        ]
    )
    assert only.startswith("rows.jsonl:2: ")
    assert "mixed formats" in only
    assert expected in only


def test_plain_and_conversational_rows_of_the_same_columns_are_mixed(said: Said) -> None:
    rows = [{"prompt": "a", "chosen": "b", "rejected": "c"}, {"prompt": [USER], "chosen": [BOT], "rejected": [OTHER]}]
    (only,) = said(rows, "dpo")
    assert "mixed formats: this row holds `prompt` and `chosen` and `rejected` as conversations" in only


def test_missing_columns_are_said_once_with_the_alternatives(said: Said) -> None:
    (only,) = said([{"question": "a", "chosen_answer": "b", "rejected": "c"}] * 3, "dpo")
    assert only.startswith(
        "rows.jsonl:1: missing columns: the rows have `question`, `chosen_answer`, `rejected`\n"
        "  → Rows need `prompt` and `chosen` and `rejected`, or `chosen` and `rejected`."
    )
    assert "Other names are given by `columns: {chosen: chosen_answer}`" in only
    assert "run.yaml:4: data.train.columns" in only


def test_a_later_row_that_lacks_a_column_is_compared_with_the_first(said: Said) -> None:
    (only,) = said([{"prompt": "a", "completion": "b"}, {"prompt": "a"}])
    assert "rows.jsonl:2: the row has no `completion`, as the first row has (rows.jsonl:1)" in only


def test_renamed_columns_count_by_the_name_of_the_method(said: Said) -> None:
    rows = [{"question": "a", "answer": "b"}]
    assert said(rows, columns={"prompt": "question", "completion": "answer"}) == []
    assert "`completion`" in said(rows, columns={"prompt": "question"})[0]


def test_a_new_name_that_is_taken_and_an_old_one_that_is_not_there_are_refused(said: Said) -> None:
    (only,) = said([{"prompt": "x", "question": "a", "completion": "b"}], columns={"prompt": "question"})
    assert only.startswith(
        "run.yaml:4: data.train.columns.prompt: the data have a column `prompt` already\n  → Rename it"
    )
    (only,) = said([{"text": "a", "tool": []}], columns={"tools": "tol"})
    assert only == "run.yaml:4: data.train.columns.tools: the data have no column `tol`\n  → Did you mean `tool`?"
    swapped = {"prompt": "completion", "completion": "prompt"}
    assert said([{"prompt": "x", "completion": "b"}], columns=swapped) == []


def test_a_column_renamed_the_wrong_way_round_is_told_so(said: Said) -> None:
    problems = said([{"question": "a", "completion": "b"}], columns={"question": "prompt"})
    assert problems[0] == (
        "run.yaml:4: data.train.columns.question: `sft` reads no column `question`\n"
        "  → Write `prompt: question`: the method's name comes first."
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "run.yaml:4: data.train: rows.jsonl holds no rows\n  → Give at least one row."),
        ("\n\n", "rows.jsonl holds no rows"),
        ('{"text": "a"}\n{"text": \n{"text": "b"}\n', "rows.jsonl:2: not JSON: "),
        (
            '{"text": "a"}\n\n[1]\n',
            "rows.jsonl:3: expected a row such as {…}, got a list\n  → Rows need `messages`, or",
        ),
        ('{"text": "a"}\nnull\n', "rows.jsonl:2: expected a row such as {…}, got nothing (null)"),
        (b'{"text": "a"}\n{"text": "\xff"}\n', "rows.jsonl:2: not text: byte 0xff is no UTF-8"),
    ],
)
def test_a_broken_file_is_refused_with_the_line(said: Said, text: str | bytes, expected: str) -> None:
    (only,) = said(text)
    assert expected in only


def test_only_the_rows_that_are_used_are_checked(said: Said) -> None:
    rows = [{"text": "a"}, {"text": 3}]
    assert said(rows, limit=1) == []
    assert len(said(rows, limit=2)) == 1


def test_no_more_than_some_problems_are_said_and_the_rest_counted(said: Said) -> None:
    problems = said([{"text": "a"}] + [{"text": 3}] * (MOST_PROBLEMS + 7))
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1] == "run.yaml:4: data.train: and 7 more problems in the data"
    assert len(said([{"text": "a"}] + [{"text": 3}] * MOST_PROBLEMS)) == MOST_PROBLEMS


def test_a_mask_that_the_rows_cannot_have_is_refused(said: Said) -> None:
    (only,) = said([{"text": "a"}], extra="{assistant_only_loss: true}")
    assert only.startswith(
        "run.yaml:5: training.assistant_only_loss: only what the assistant says may carry loss, but the"
    )
    (only,) = said([{"messages": TURNS}], extra="{completion_only_loss: true}")
    assert "only completions may carry loss, but the rows have no `completion`" in only
    assert said([{"messages": TURNS}], extra="{assistant_only_loss: true}") == []
    assert said([{"prompt": "a", "completion": "b"}], extra="{completion_only_loss: true}") == []


# ── other formats ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_lists_have_lines_too(said: Said) -> None:
    text = '[\n  {"text": "a"},\n  {\n    "text": 3\n  },\n  {"text": "b"}\n]\n'
    (only,) = said(text, name="rows.json")
    assert only.startswith("rows.json:3: text: expected text, got the number 3")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"text": "a"}\n{"text": "b"}\n', ""),
        ("[]", "rows.json holds no rows"),
        ("", "rows.json holds no rows"),
        ('[{"text": "a"},\n {"text": "b"}', "rows.json:2: not JSON: expected `,` or `]` after this item"),
        ('[{"text": "a"},\n {"text": ', "rows.json:2: not JSON: Expecting value"),
        ('[{"text": "a"}\n {"text": "b"}]', "rows.json:1: not JSON: expected `,` or `]` after this item"),
        ('{\n"data": [1]}', "rows.json:1: a JSON data set is a list of objects"),
        ('{\n"data": [1', "rows.json:2: not JSON"),
    ],
)
def test_json_files(said: Said, text: str, expected: str) -> None:
    problems = said(text, name="rows.json")
    assert problems == [] if not expected else expected in problems[0]


def test_csv_rows(said: Said) -> None:
    head = "prompt,completion,label\n"
    assert said(head + 'a,"b,\nb",true\nc,d,False\n', "kto", name="rows.csv") == []
    problems = said(head + 'a,"b\nb",maybe\nc,d\n,e,true\n', "kto", name="rows.csv")
    assert problems[0].startswith("rows.csv:2: label: expected `true` or `false`, got the text 'maybe'")
    assert problems[1].startswith("rows.csv:4: 2 values for 3 columns")
    assert problems[2].startswith("rows.csv:5: the row has no `prompt`, as the first row has (rows.csv:2)")
    assert said(head, "kto", name="rows.csv") == [
        "run.yaml:4: data.train: rows.csv holds no rows\n  → Give at least one row."
    ]


def test_csv_cannot_hold_conversations(said: Said) -> None:
    (only,) = said("messages\n[]\n", name="rows.csv")
    assert only.endswith("→ A CSV file holds text only: write conversations as JSONL.")


def test_parquet_rows(said: Said, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def encoded(rows: list[dict[str, Any]]) -> bytes:
        parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "made")
        return (tmp_path / "made").read_bytes()

    assert said(encoded([{"messages": TURNS, "id": 1}] * 3), name="rows.parquet") == []
    (only,) = said(encoded([{"messages": TURNS}, {"messages": [USER]}]), name="rows.parquet")
    assert only.startswith("rows.parquet: row 2: messages: the conversation ends with the user")
    (only,) = said(encoded([{"message": TURNS}]), name="rows.parquet")
    assert "the rows have `message`" in only
    assert "`columns: {messages: message}`" in only
    (only,) = said(b"PAR1 and then nothing", name="rows.parquet")
    assert only.startswith("rows.parquet: no sound Parquet file: ")
