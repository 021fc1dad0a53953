"""Marks: private-use characters that travel through a rendering and tell where each text of the data went.

A mark is one character that neither the template nor the conversation holds. Every text of a message, a *leaf*, gets
one before and one behind it, inside its surrounding white space, so that templates which trim still trim the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Field = Literal["content", "reasoning", "name", "argument"]

PRIVATE = re.compile("[\U000f0000-\U0010ffff]")
_PRIVATE = (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
_REASONING = ("reasoning_content", "thinking", "reasoning")


@dataclass(frozen=True)
class Leaf:
    """One text of a message.

    Attributes:
        message: Index of the message.
        field: What it is: content, reasoning, the name of a called tool, or a text among a call's arguments.
        call: Index of the tool call; None outside tool calls.
        value: The text.
        opening: The mark before it.
        closing: The mark behind it.
    """

    message: int
    field: Field
    call: int | None
    value: str
    opening: str
    closing: str


class Alphabet:
    """Hands out marks that no given text holds.

    Args:
        texts: All that will be rendered, and what renders it.
    """

    def __init__(self, texts: Iterator[str]) -> None:
        taken = {char for text in texts for char in PRIVATE.findall(text)}
        self._free = (chr(code) for codes in _PRIVATE for code in codes if chr(code) not in taken)

    def next(self) -> str:
        """A mark that was not handed out before."""
        return next(self._free)


def texts_of(value: Any) -> Iterator[str]:
    """Every text anywhere in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield str(key)
            yield from texts_of(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from texts_of(each)


class Marked:
    """Messages whose leaves are marked.

    Args:
        messages: The messages, as `render.template.prepared` makes them.
        fields: Which leaves to mark.
        alphabet: Where marks come from.

    Attributes:
        messages: The marked messages.
        leaves: The leaves, in order.
    """

    def __init__(self, messages: Sequence[Mapping[str, Any]], fields: frozenset[str], alphabet: Alphabet) -> None:
        self.leaves: list[Leaf] = []
        self._fields, self._alphabet = fields, alphabet
        self.messages = [self._message(index, message) for index, message in enumerate(messages)]

    def _message(self, index: int, message: Mapping[str, Any]) -> dict[str, Any]:
        marked = dict(message)
        if "content" in marked:
            marked["content"] = self._content(index, marked["content"])
        reasoning = next((marked[name] for name in _REASONING if isinstance(marked.get(name), str)), None)
        if reasoning:
            text = self._mark(index, "reasoning", None, reasoning)
            marked |= {name: text for name in _REASONING if marked.get(name) == reasoning}
        if marked.get("tool_calls"):
            marked["tool_calls"] = [self._call(index, number, call) for number, call in enumerate(marked["tool_calls"])]
        return marked

    def _content(self, index: int, content: Any) -> Any:
        if isinstance(content, str):
            return self._mark(index, "content", None, content)
        if isinstance(content, list):
            return [
                part | {"text": self._mark(index, "content", None, part["text"])}
                if isinstance(part, dict) and isinstance(part.get("text"), str)
                else part
                for part in content
            ]
        return content

    def _call(self, index: int, number: int, call: Any) -> Any:
        if not isinstance(call, Mapping):
            return call
        inner = call["function"] if isinstance(call.get("function"), Mapping) else call
        marked = dict(inner)
        if isinstance(marked.get("name"), str):
            marked["name"] = self._mark(index, "name", number, marked["name"])
        if "arguments" in marked:
            marked["arguments"] = self._argument(index, number, marked["arguments"])
        return dict(call) | {"function": marked} if inner is not call else marked

    def _argument(self, index: int, number: int, value: Any) -> Any:
        if isinstance(value, str):
            return self._mark(index, "argument", number, value)
        if isinstance(value, Mapping):
            return {key: self._argument(index, number, each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._argument(index, number, each) for each in value]
        return value

    def _mark(self, index: int, field: Field, call: int | None, text: str) -> str:
        core = text.strip()
        if not core:
            return text
        marked = field in self._fields
        leaf = Leaf(index, field, call, core, *((self._alphabet.next(), self._alphabet.next()) if marked else ("", "")))
        self.leaves.append(leaf)
        if not marked:
            return text
        start = text.index(core)
        return f"{text[:start]}{leaf.opening}{core}{leaf.closing}{text[start + len(core) :]}"
