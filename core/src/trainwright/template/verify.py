"""Checks of derived spans against what the assistant's turns say, independent of how the spans were found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from trainwright.errors import DataError
from trainwright.template.diff import shorten
from trainwright.template.render import Message
from trainwright.template.spans import Span


def verify(text: str, spans: Sequence[Span], messages: Sequence[Message], turns: Sequence[int]) -> None:
    """Check spans against what the turns say.

    Spans must lie inside the text in order, without overlap, and hold what each turn says: its content (white space
    aside), its reasoning, and the names of the tools that it calls.

    Args:
        text: The rendered conversation.
        spans: The spans of the turns.
        messages: The conversation.
        turns: Indices of the assistant turns that carry loss.

    Raises:
        DataError: Where they do not.
    """
    _check_order(text, spans)
    for turn in turns:
        held = "".join(text[span.start : span.end] for span in spans if span.turn in (turn, None))
        squeezed = _squeeze(held)
        for what, said in _sayings(messages[turn]):
            if _squeeze(said) not in squeezed:
                raise DataError(
                    f"{what} of message {turn} (assistant) is missing from what would be trained on: the chat "
                    f"template drops or changes it, or its markers are misplaced\n"
                    f"    in the data : {shorten(said)}\n    trained on  : {shorten(held)}",
                    remedy="take it out of the data if it is not to be learnt, or use a template that writes it: "
                    "`template: {name: file, path: my_template.jinja}`",
                )


def _check_order(text: str, spans: Sequence[Span]) -> None:
    before = 0
    for span in spans:
        if span.start == span.end:
            raise DataError(
                f"the chat template writes nothing for message {span.turn} (assistant)",
                remedy="use a template that writes it: `template: {name: file, path: my_template.jinja}`",
            )
        if not before <= span.start < span.end <= len(text):
            ranges = ", ".join(f"{each.start}–{each.end}" for each in spans)
            raise DataError(
                f"the assistant's turns cannot be told apart in the render of {len(text)} characters: they would lie "
                f"at {ranges}",
                remedy="use another template: `template: {name: file, path: my_template.jinja}`",
            )
        before = span.end


def _sayings(message: Message) -> Iterator[tuple[str, str]]:
    """Each thing that a turn says, with its name."""
    content = message.get("content")
    for part in content if isinstance(content, list) else [{"text": content}]:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield "`content`", part["text"]
    for key in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(message.get(key), str):
            yield f"`{key}`", message[key]
    for call in message.get("tool_calls") or ():
        yield "the name of a called tool", _called(call)


def _called(call: Any) -> str:
    """The name of the function that a tool call calls, in either of the two usual forms."""
    call = json.loads(call) if isinstance(call, str) else call
    return str((call.get("function") or call).get("name") or "")


def _squeeze(text: str) -> str:
    """The text without white space: templates trim and re-wrap what they are given."""
    return "".join(text.split())
