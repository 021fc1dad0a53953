"""Whether the values of a row's columns are what a method trains on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trainwright.config.words import got
from trainwright.data.conversations import Fault, conversation_faults, is_conversation, style_of
from trainwright.trainer.methods import Method

_CONVERSATIONS_ONLY = ("messages", "conversations")
_EITHER = ("prompt", "completion", "chosen", "rejected")
_ANSWERED = ("messages", "conversations", "completion", "chosen", "rejected")
_ANSWERS = ("completion", "chosen", "rejected")
_PREFERENCES = ("pairs", "unpaired", "scores")
_CSV_BOOLEANS = ("true", "True", "false", "False")


def value_faults(columns: tuple[str, ...], row: Mapping[str, Any], method: Method, *, is_csv: bool) -> Iterator[Fault]:
    """What is wrong with the values of the columns that count.

    Args:
        columns: One of the method's alternatives, complete in the row.
        row: The row, by the method's names.
        method: The method that will train on it.
        is_csv: Whether the row is from a CSV file, where every value is text.
    """
    for name in columns:
        yield from _column_faults(name, row[name], method, is_csv=is_csv)
        if method.batch in _PREFERENCES and name in _ANSWERS and is_empty_answer(row[name]):
            yield Fault(name, "the answer is empty: all there is to learn is to say nothing", "Remove the row.")
    if {"chosen", "rejected"} <= set(columns) and row["chosen"] == row["rejected"]:
        yield Fault("rejected", "the two answers are equal: neither can be preferred", "Remove the row.")
    pair = [name for name in columns if name in _EITHER and isinstance(row[name], str | list)]
    plain = [name for name in pair if not is_conversation(row[name])]
    spoken = [name for name in pair if is_conversation(row[name])]
    if plain and spoken:
        message = f"`{plain[0]}` is plain text and `{spoken[0]}` a conversation"
        yield Fault(plain[0], message, "Give both as the same kind.")


def _column_faults(name: str, value: Any, method: Method, *, is_csv: bool) -> Iterator[Fault]:
    if name == "label":
        if not isinstance(value, bool) and not (is_csv and value in _CSV_BOOLEANS):
            yield Fault(name, f"expected `true` or `false`, got {got(value)}", "`true` marks an answer that is liked.")
    elif name == "input_ids":
        if not isinstance(value, list) or not value or not all(type(token) is int for token in value):
            what = "another list" if isinstance(value, list) else got(value)
            yield Fault(name, f"expected a list of token ids, got {what}")
    elif name == "text":
        yield from _text_faults(value)
    elif is_conversation(value):
        answered = name in _ANSWERED and method.batch != "rollouts"
        yield from conversation_faults(value, name, answered=answered)
    elif name in _CONVERSATIONS_ONLY:
        remedy = "A CSV file holds text only: write conversations as JSONL." if is_csv else "It is a list of messages."
        yield Fault(name, f"expected a conversation, got {got(value)}", remedy)
    elif not isinstance(value, str):
        yield Fault(name, f"expected text or a conversation, got {got(value)}")


def is_empty_answer(value: Any) -> bool:
    """Whether an answer, plain or the last turn of a conversation, says nothing and calls no tool."""
    if is_conversation(value):
        last = value[-1] if value else {}
        value = None if not isinstance(last, dict) or last.get("tool_calls") else last.get(style_of(value)[1])
    return isinstance(value, str) and not value.strip()


def _text_faults(value: Any) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield Fault("text", f"expected text, got {got(value)}")
    elif not value.strip():
        yield Fault("text", "the text is empty", "Remove the row.")
