"""Calls whose values are tags inside tags, each behind a marker: one a key, and `<item>` for a list's items."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .calls import Reading, Region
from .literal import MAX_DEPTH
from .source import Source, skip_space
from .tools import Schema, Tools, schema_types, typed_as

_TAG = re.compile(r"<(?P<shut>/?)(?P<key>[^<>/\n\"=][^<>\n\"=]{0,255}+)>")
_HALF_TAG = re.compile(r"(?:<[^<>\n]{0,256}+)?\Z")
_ITEM = "item"


@dataclass
class _Node:
    """A tag with what is in it: text, or further tags."""

    key: str
    text: str = ""
    children: list[_Node] = field(default_factory=list)


class _NoTreeError(Exception):
    """The tags are no tree; `end` is where reading stopped, None where the text ends before the call does."""

    def __init__(self, reason: str, end: int | None) -> None:
        super().__init__(reason)
        self.reason, self.end = reason, end


@dataclass(frozen=True)
class NestedCalls:
    """Reads one call a match; the `read` of a `TaggedFormat`.

    Attributes:
        opening: The call's opening, with the name as group `name`.
        marker: What stands before every tag, and in no value.
        close: The name of the tag whose end ends the call.
        outer: What may end a block of calls, its marker included; it belongs to the last of them.
    """

    opening: re.Pattern[str]
    marker: str
    close: str
    outer: str

    def __call__(self, source: Source, match: re.Match[str], tools: Tools) -> Region | None:
        """The call at `match`."""
        text, reading = source.text, Reading(match["name"].strip())
        try:
            call, end = self._tree(source, match.end())
        except _NoTreeError as error:
            end = len(text) if error.end is None else error.end
            reading.fail(error.reason, "truncated" if error.end is None else "malformed")
            return reading.region(text, match.start(), end)
        for child in call.children:
            reading.arguments[child.key] = _value(child, tools.parameter(reading.name, child.key))
        tools.require_arguments(reading)
        tools.note_unknown(reading)
        after = skip_space(text, end)
        end = after + len(self.outer) if text.startswith(self.outer, after) else end
        return reading.region(text, match.start(), end)

    def _tree(self, source: Source, at: int) -> tuple[_Node, int]:
        """The tags from `at` up to the one that ends the call, and where that ends."""
        root = _Node(self.close)
        stack = [root]
        while stack:
            step = source.find(self.marker, at)
            if step == -1:
                raise _NoTreeError("the text ends inside the call", None)
            tag = _TAG.match(source.text, step + len(self.marker))
            if tag is None:
                cut = _HALF_TAG.match(source.text, step + len(self.marker))
                raise _NoTreeError("no tag behind a marker", None if cut else step)
            stack[-1].text += source.text[at:step]
            self._turn(stack, tag, step)
            at = tag.end()
        return root, at

    def _turn(self, stack: list[_Node], tag: re.Match[str], step: int) -> None:
        """Go into a tag or out of one."""
        top = stack[-1]
        opens = not tag["shut"]
        if (opens or top.children or len(stack) == 1) and top.text.strip():
            raise _NoTreeError("text between the tags", step)
        if opens:
            if len(stack) > MAX_DEPTH:
                raise _NoTreeError("the values are nested too deeply", step)
            stack.append(_Node(tag["key"]))
            top.children.append(stack[-1])
        elif stack.pop().key != tag["key"]:
            raise _NoTreeError("a value is not closed", step)


def _value(node: _Node, schema: Schema) -> Any:
    """What a tag stands for: a list where all that is in it are items, an object, or its text by the schema."""
    types = schema_types(schema)
    if node.children:
        if "object" not in types and all(child.key == _ITEM for child in node.children):
            return [_value(child, _schema(schema.get("items"))) for child in node.children]
        known = _schema(schema.get("properties"))
        return {child.key: _value(child, _schema(known.get(child.key))) for child in node.children}
    if not node.text.strip() and "string" not in types and types & {"array", "object"}:
        return [] if "array" in types else {}
    return typed_as(schema, node.text)


def _schema(found: object) -> Schema:
    return found if isinstance(found, Mapping) else {}
