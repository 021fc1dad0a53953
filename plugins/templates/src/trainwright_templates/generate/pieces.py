"""A template that tells where each message's text begins: the message loops print a mark at the start of every step.

The marks are text: they pass through macros, `{% set %}` blocks and whatever else a template does with its output,
where a `{% generation %}` block would be lost or shifted. What is between two marks is a *piece*.
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


STRICT, WIDE = "role", "role|content"
"""Fields whose use tells a message loop: loops that scan ahead for tools' results may never ask for a role."""


def with_marks(source: str, mark: str, fields: str = STRICT) -> str | None:
    """The template with a mark at the start of every message's text; None where no loop over messages is found."""
    found = list(tags(source))
    stepped = [step for loop in loops(found) if (step := _step(source, found, loop, fields))]
    parts, position = [], 0
    for place, text in sorted(_additions(stepped, mark)):
        parts += [source[position:place], text]
        position = place
    return "".join([*parts, source[position:]]) if stepped else None


@dataclass(frozen=True)
class _Step:
    """Where a step of a message loop has its message.

    Attributes:
        loop: The loop.
        message: An expression for the message.
        tag: The tag after which the step has it.
        output: The variable that the loop's output is appended to; empty where it is printed.
    """

    loop: Loop
    message: str
    tag: Tag
    output: str


def _step(source: str, found: list[Tag], loop: Loop, fields: str) -> _Step | None:
    """The message loop that this loop is; None where it is none, or writes nothing."""
    body = source[loop.head.end : loop.tail.start]
    output = _output(body, source[loop.tail.end :])
    if output is None or not loop.target:
        return None
    if _uses(loop.target, fields).search(body):
        return _Step(loop, loop.target, loop.head, output)
    for tag in found:
        if loop.head.end <= tag.start < loop.tail.start and tag.name == "set":
            bound = re.match(rf"set\s+(\w+)\s*=\s*\w+\s*\[[^\]]*\b{loop.target}\b[^\]]*\]\s*$", tag.code)
            if bound and _uses(bound[1], fields).search(body):
                return _Step(loop, bound[1], tag, output)
    indexed = re.search(rf"\b(\w+\[\s*{loop.target}\s*\])\s*(?:\.|\[)\s*['\"]?role\b", body)
    return _Step(loop, indexed[1], loop.head, output) if indexed else None


def _output(body: str, rest: str) -> str | None:
    """Where a loop's body writes to: '' (it prints), or a variable that is printed later; None: it writes nothing."""
    if "{{" in re.sub(r"\{\{-?\s*raise_exception\(", "", body):
        return ""
    for appended in re.findall(r"\bset\s+(\w+\.\w+)\s*=\s*\1\s*[~+]", body):
        if re.search(rf"\{{\{{[-+]?\s*{re.escape(appended)}\b", rest):
            return str(appended)
    return None


def _uses(name: str, fields: str) -> re.Pattern[str]:
    """A use of one of these fields of a message; where many will do, also a macro's call with the whole message."""
    named = f"(?:{fields})"
    field = rf"\b{name}(?:\.{named}\b|\[\s*['\"]{named}['\"]\s*\]|\.get\(\s*['\"]{named}['\"])"
    return re.compile(rf"{field}|[(,]\s*{name}\s*[,)]" if fields == WIDE else field)


def _additions(steps: list[_Step], mark: str) -> Iterator[tuple[int, str]]:
    """What to insert, and where: a mark as each step has its message, and one where the text goes on after the loop."""
    by_target = {step.loop.target: step.message for step in steps}
    for step in steps:
        yield step.tag.end, _after(step.tag, _kind(step.message, mark), step.output)
        around = [by_target[target] for target in step.loop.outer if target in by_target]
        after = _kind(around[-1], mark, resumed=True) if around else f"'{mark}{AFTER}'"
        yield step.loop.tail.end, _after(step.loop.tail, after, step.output)


def _kind(message: str, mark: str, resumed: bool = False) -> str:
    """A jinja expression: the mark and the kind of this message."""
    assistant, tool, other = (k.upper() if resumed else k for k in (ASSISTANT, TOOL, OTHER))
    kind = f"'{assistant}' if {message}.role == 'assistant' else '{tool}' if {message}.role == 'tool' else '{other}'"
    return f"(('{mark}' ~ ({kind})) if {message} is mapping and {message}.role is defined else '')"


def _after(tag: Tag, text: str, output: str) -> str:
    """What to put behind a tag to write a text, and leave the white space after it as the tag had it."""
    written = f"{{% set {output} = {output} ~ {text} +%}}" if output else f"{{{{ {text} }}}}"
    lead = "-" if tag.sign == "-" else ""
    return f"{written}{{%{lead} set tw_mark = 0 {tag.sign}%}}"


def cut(marked: str, mark: str) -> tuple[str, list[Piece]]:
    """The text without marks, and its pieces."""
    first, *rest = marked.split(mark)
    parts, pieces = [first], [Piece("", 0, len(first))]
    for part in rest:
        start = pieces[-1].end
        pieces.append(Piece(part[0], start, start + len(part) - 1))
        parts.append(part[1:])
    return "".join(parts), pieces
