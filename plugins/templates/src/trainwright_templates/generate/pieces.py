"""A template that tells where each message's text begins: the message loops print a mark at the start of every step.

The marks are text: they pass through macros, `{% set %}` blocks and whatever else a template does with its output, where a
`{% generation %}` block would be lost or shifted. What is between two marks is a *piece*.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from trainwright_templates.generate.source import Loop, Tag, loops, tags

# Kinds of pieces. A capital letter goes on with the message around a loop that has ended.
ASSISTANT, TOOL, OTHER = "a", "t", "o"
AFTER = "E"  # what follows the message loop


@dataclass(frozen=True)
class Piece:
    """A stretch of rendered text, as characters of the text without marks.

    Attributes:
        kind: Whose text it is; empty before the first mark.
        start: Its first character.
        end: Past its last character.
    """

    kind: str
    start: int
    end: int


def mark_of(source: str) -> str:
    """A mark of four private-use characters that is this template's own, so that no text holds it by chance."""
    digest = hashlib.sha256(source.encode()).digest()
    return "".join(chr(0xF0000 + int.from_bytes(digest[i : i + 2]) % 0xFFF0) for i in range(0, 8, 2))


def with_marks(source: str, mark: str) -> str | None:
    """The template with a mark at the start of every message's text; None where no loop over messages is found."""
    added = sorted(_additions(source, list(tags(source)), mark))
    parts, position = [], 0
    for place, text in added:
        parts += [source[position:place], text]
        position = place
    return "".join([*parts, source[position:]]) if added else None


def _additions(source: str, found: list[Tag], mark: str) -> Iterator[tuple[int, str]]:
    bound: set[str] = set()
    every = list(loops(found))
    for loop in every:
        bound.update(name for name, _ in [_message(source, found, loop)] if name)
    for loop in every:
        name, tag = _message(source, found, loop)
        if not name:
            continue
        yield tag.end, _after(tag, _kind(name, mark))
        around = [outer for outer in loop.outer if outer in bound]
        after = _kind(around[-1], mark, resumed=True) if around else f"'{mark}{AFTER}'"
        yield loop.tail.end, _after(loop.tail, after)


def _message(source: str, found: list[Tag], loop: Loop) -> tuple[str, Tag]:
    """The name under which a step of this loop has its message, and the tag after which it has it; '' without one."""
    body = source[loop.head.end : loop.tail.start]
    prints = re.sub(r"\{\{-?\s*raise_exception\(", "", body)
    if "{{" not in prints or not loop.target:
        return "", loop.head
    if _role(loop.target).search(body):
        return loop.target, loop.head
    for tag in found:
        if loop.head.end <= tag.start < loop.tail.start and tag.name == "set":
            bound = re.match(rf"set\s+(\w+)\s*=\s*\w+\s*\[[^\]]*\b{loop.target}\b[^\]]*\]\s*$", tag.code)
            if bound and _role(bound[1]).search(body):
                return bound[1], tag
    return "", loop.head


def _role(name: str) -> re.Pattern[str]:
    return re.compile(rf"\b{name}(?:\.role\b|\[\s*['\"]role['\"]\s*\]|\.get\(\s*['\"]role['\"])")


def _kind(name: str, mark: str, resumed: bool = False) -> str:
    """A jinja expression: the mark and the kind of the message that `name` holds."""
    assistant, tool, other = (k.upper() if resumed else k for k in (ASSISTANT, TOOL, OTHER))
    kind = f"'{assistant}' if {name}.role == 'assistant' else '{tool}' if {name}.role == 'tool' else '{other}'"
    return f"('{mark}' ~ ({kind})) if {name} is mapping else ''"


def _after(tag: Tag, expression: str) -> str:
    """Text to put behind a tag that prints an expression and leaves the white space after it as the tag had it."""
    lead = "-" if tag.sign == "-" else ""
    return f"{{{{ {expression} }}}}{{%{lead} set tw_mark = 0 {tag.sign}%}}"


def cut(marked: str, mark: str) -> tuple[str, list[Piece]]:
    """The text without marks, and its pieces."""
    first, *rest = marked.split(mark)
    parts, pieces = [first], [Piece("", 0, len(first))]
    for part in rest:
        start = pieces[-1].end
        pieces.append(Piece(part[0], start, start + len(part) - 1))
        parts.append(part[1:])
    return "".join(parts), pieces
