"""Rows of data as questions with a right answer: what the model is asked, and what it should say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainwright.errors import DataError, Problem
from trainwright.template.places import Places, place
from trainwright.template.render import Message, Renderer, text_tokenizer
from trainwright.template.rows import conversation
from trainwright.template.spans import without_weights

KEY = "answers.data"


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        text: What was asked last, for people.
        input_ids: The prompt, tokenised as at inference, `[S]`.
        expected: The right answer.
    """

    text: str
    input_ids: list[int]
    expected: str


def questions(rows: Iterable[Mapping[str, Any]], processing_class: Any, places: Places | None = None) -> list[Question]:
    """Read conversations, or plain `prompt` and `completion`, as questions.

    The last turn is the right answer; what precedes it is rendered with the generation prompt.

    Args:
        rows: The rows.
        processing_class: The tokenizer or processor.
        places: Finds the `file:line` of rows; default: their numbers.

    Raises:
        DataError: All rows without a right answer, or no rows at all.
    """
    found: list[Question] = []
    refused: dict[int, Problem] = {}
    for index, row in enumerate(rows):
        try:
            found.append(_plain(row, processing_class) if _is_plain(row) else _chat(row, processing_class))
        except DataError as error:
            refused[index] = error.problems[0]
    if refused:
        known = places(list(refused)) if places else {}
        wheres = {index: known.get(index, place(KEY, index)) for index in refused}
        raise DataError.together([replace(problem, where=wheres[index]) for index, problem in refused.items()])
    if not found:
        raise DataError("there are no questions", where=KEY, remedy="give rows with a right answer")
    return found


def _is_plain(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("prompt"), str) and isinstance(row.get("completion"), str)


def _plain(row: Mapping[str, Any], processing_class: Any) -> Question:
    ids = text_tokenizer(processing_class)(row["prompt"])["input_ids"]
    return Question(row["prompt"], list(ids), row["completion"].strip())


def _chat(row: Mapping[str, Any], processing_class: Any) -> Question:
    said = conversation(row)
    *before, last = said.messages or [{}]
    if last.get("role") != "assistant" or not isinstance(last.get("content"), str) or not before:
        raise DataError(
            "the last turn is no answer in text that could be compared",
            remedy="end the conversation with an assistant turn whose `content` is the right answer",
        )
    tools = json.loads(said.tools) if isinstance(said.tools, str) else said.tools
    tokenizer, template = text_tokenizer(processing_class), getattr(processing_class, "chat_template", None)
    render = Renderer(tokenizer, template, processing_class is not tokenizer, tools, said.variables)
    text = render(without_weights(before), prompt=True)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return Question(_asked(before), list(ids), last["content"].strip())


def _asked(messages: Sequence[Message]) -> str:
    content = messages[-1].get("content")
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
