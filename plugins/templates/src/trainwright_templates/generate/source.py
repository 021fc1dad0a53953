"""The tags of a template's text with their places: what jinja2's syntax tree does not keep.

jinja2 parses a template into nodes that know their line and no more. To add something to a template without touching
anything else of it, the exact ends of its tags are needed, and how each one treats the white space after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_OPEN = re.compile(r"\{[{%#]")
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_END_RAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_CLOSE = {"{%": "%}", "{{": "}}"}


@dataclass(frozen=True)
class Tag:
    """One `{% … %}`, `{{ … }}` or `{# … #}`.

    Attributes:
        opening: `{%`, `{{` or `{#`.
        start: Where it begins, in characters of the template.
        end: Where it ends.
        code: What it says, without delimiters, white-space signs and outer spaces.
        sign: The white-space sign at its end: `-`, `+` or empty.
    """

    opening: str
    start: int
    end: int
    code: str
    sign: str

    @property
    def name(self) -> str:
        """A statement's keyword (`for`, `endif`); empty for the other kinds."""
        words = self.code.split(None, 1) if self.opening == "{%" else []
        return words[0] if words else ""


@dataclass(frozen=True)
class Loop:
    """A `for` statement.

    Attributes:
        target: The name it binds; empty where it binds several.
        head: Its `{% for %}`.
        tail: Its `{% endfor %}`.
        outer: The targets of the loops around it, the innermost last.
    """

    target: str
    head: Tag
    tail: Tag
    outer: tuple[str, ...]


def tags(source: str) -> Iterator[Tag]:
    """Every tag of the template, in order; text inside `{% raw %}` has none."""
    position = 0
    while found := _OPEN.search(source, position):
        tag = _tag(source, found.start())
        yield tag
        position = tag.end
        if tag.name == "raw" and (end := _END_RAW.search(source, position)):
            position = end.end()


def _tag(source: str, start: int) -> Tag:
    opening = source[start : start + 2]
    end = _end_of_comment(source, start) if opening == "{#" else _end_of_code(source, start + 2, _CLOSE[opening])
    inside = source[start + 2 : end - 2]
    sign = inside[-1:] if inside[-1:] in ("-", "+") else ""
    return Tag(opening, start, end, inside.strip().strip("-+").strip(), sign)


def _end_of_comment(source: str, start: int) -> int:
    end = source.find("#}", start + 2)
    return len(source) if end < 0 else end + 2


def _end_of_code(source: str, position: int, close: str) -> int:
    """Past the closing delimiter: not one inside a string, nor a brace that closes a dictionary."""
    depth = 0
    while position < len(source):
        if string := _STRING.match(source, position):
            position = string.end()
            continue
        if not depth and source.startswith(close, position):
            return position + 2
        depth += {"{": 1, "}": -1}.get(source[position], 0)
        position += 1
    return len(source)


def loops(found: list[Tag]) -> Iterator[Loop]:
    """Every `for` statement, in the order of their ends."""
    stack: list[tuple[str, Tag]] = []
    for tag in found:
        if tag.name == "for":
            bound = re.match(r"for\s+(\w+)\s+in\b", tag.code)
            stack.append((bound[1] if bound else "", tag))
        elif tag.name == "endfor" and stack:
            target, head = stack.pop()
            yield Loop(target, head, tag, tuple(name for name, _ in stack))


def has_markers(source: str) -> bool:
    """Whether the template has generation markers of its own."""
    return any(tag.name == "generation" for tag in tags(source))


def without_markers(source: str) -> str:
    """The template with a statement that does nothing in the place of each generation marker, white space as it was."""
    parts, position = [], 0
    for tag in tags(source):
        if tag.name in ("generation", "endgeneration"):
            lead = source[tag.start + 2] if source[tag.start + 2] in "-+" else ""
            parts += [source[position : tag.start], f"{{%{lead} set tw_mark = 0 {tag.sign}%}}"]
            position = tag.end
    return "".join([*parts, source[position:]])
