"""Where a rendered conversation holds which message, and which of its texts.

One rendering of marked messages through the traced template gives both. It counts only if, without the marks, it is the
plain rendering to the letter; where marks of leaves disturb a template (it splits or compares a text), fewer are set.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jinja2

from trainwright_templates.engine.marks import PRIVATE, Alphabet, Leaf, Marked, texts_of
from trainwright_templates.engine.refused import excerpt
from trainwright_templates.engine.trace import TRACER, Tracer, traced
from trainwright_templates.render import RenderError, Template
from trainwright_templates.render.template import prepared

_ALL = frozenset({"content", "reasoning", "name", "argument"})
LEVELS = (
    _ALL,
    frozenset({"content", "name", "argument"}),
    frozenset({"content"}),
    frozenset({"name"}),
    frozenset[str](),
)
"""Which leaves are marked: as many as the template bears."""


@dataclass(frozen=True)
class Piece:
    """A stretch of text that one message, or none, wrote: characters `start` up to `end`."""

    message: int | None
    start: int
    end: int


@dataclass(frozen=True)
class Place:
    """Where a leaf stands in the text: characters `start` up to `end`."""

    leaf: Leaf
    start: int
    end: int
    whole: bool = True


@dataclass(frozen=True)
class Layout:
    """A rendered conversation, taken apart.

    Attributes:
        text: The rendering.
        pieces: Who wrote what, in order, covering the text; one piece of no message where loops told nothing.
        places: Where leaves stand, in order.
        leaves: All leaves, those included that stand nowhere.
        fields: Which leaves were marked; the others are found by their text.
    """

    text: str
    pieces: tuple[Piece, ...]
    places: tuple[Place, ...]
    leaves: tuple[Leaf, ...]
    fields: frozenset[str]

    def of(self, message: int) -> list[Piece]:
        """The pieces that a message wrote."""
        return self._pieces_of.get(message, [])

    def lead(self, place: int) -> str:
        """What stands between the last text of the data before a place and the place."""
        at = bisect_right(self._ends, place)
        return self.text[self._ends[at - 1] if at else 0 : place]

    @cached_property
    def _pieces_of(self) -> dict[int | None, list[Piece]]:
        found: dict[int | None, list[Piece]] = {}
        for piece in self.pieces:
            found.setdefault(piece.message, []).append(piece)
        return found

    @cached_property
    def _ends(self) -> list[int]:
        return sorted(place.end for place in self.places)

    def shown(self, message: int) -> str:
        """What a message wrote in brackets, or where it would stand, for a person to see what the template does."""
        if own := self.of(message):
            return excerpt(self.text, own[0].start, own[-1].end)
        before = max((place.end for place in self.places if place.leaf.message < message), default=0)
        return excerpt(self.text, before, before)


class Surveyor:
    """Lays out conversations of one template.

    Args:
        template: The template.
    """

    def __init__(self, template: Template) -> None:
        self.template = template
        self._traced: jinja2.Template = traced(template)

    def layout(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Any] | None,
        variables: Mapping[str, Any],
        *,
        prompt: bool = False,
    ) -> Layout:
        """The layout of a conversation.

        Args:
            messages: What was said.
            tools: The tools on offer.
            variables: Further variables of the template.
            prompt: Whether the generation prompt is added.

        Raises:
            RenderError: The template rejects the conversation, or even one mark in its loops changes what it writes.
        """
        plain = prepared(messages)
        text = self.template.render(plain, tools=tools, prompt=prompt, variables=variables)
        for fields in LEVELS:
            found = self._try(plain, tools, variables, prompt, text, fields)
            if found is not None:
                return found
        leaves = Marked(plain, frozenset(), Alphabet(iter(()))).leaves
        return Layout(text, (Piece(None, 0, len(text)),), (), tuple(leaves), frozenset())

    def _try(
        self,
        plain: Sequence[Mapping[str, Any]],
        tools: Sequence[Any] | None,
        variables: Mapping[str, Any],
        prompt: bool,
        text: str,
        fields: frozenset[str],
    ) -> Layout | None:
        alphabet = Alphabet(texts_of([self.template.source, text, list(plain)]))
        marked = Marked(plain, fields, alphabet)
        steps, nowhere = [alphabet.next() for _ in plain], alphabet.next()
        token = TRACER.set(Tracer(marked.messages, steps, nowhere))
        try:
            written = self.template.run(self._traced, marked.messages, tools=tools, prompt=prompt, variables=variables)
        except RenderError:
            return None
        finally:
            TRACER.reset(token)
        stripped, found = _strip(written, frozenset(_every(marked.leaves, [*steps, nowhere])))
        if stripped != text:
            return None
        owner = {mark: number for number, mark in enumerate(steps)} | {nowhere: None}
        pieces = tuple(_pieces(found, owner, len(text)))
        places = [*_places(found, marked.leaves, text), *_searched(marked.leaves, pieces, text)]
        ordered = tuple(sorted(places, key=lambda place: (place.start, place.end)))
        return Layout(text, pieces, ordered, tuple(marked.leaves), fields)


def _every(leaves: Sequence[Leaf], steps: Sequence[str]) -> Iterator[str]:
    yield from steps
    for leaf in leaves:
        if leaf.opening:
            yield from (leaf.opening, leaf.closing)


def _strip(written: str, marks: frozenset[str]) -> tuple[str, list[tuple[int, str]]]:
    """The text without marks, and each mark with its place in it."""
    parts, found, at, before = [], [], 0, 0
    for match in PRIVATE.finditer(written):
        if match[0] in marks:
            parts.append(written[before : match.start()])
            at += match.start() - before
            before = match.end()
            found.append((at, match[0]))
    parts.append(written[before:])
    return "".join(parts), found


def _pieces(found: Sequence[tuple[int, str]], owner: Mapping[str, int | None], length: int) -> Iterator[Piece]:
    message: int | None = None
    start = 0
    for place, mark in [(place, mark) for place, mark in found if mark in owner]:
        if owner[mark] != message:
            if place > start:
                yield Piece(message, start, place)
            start, message = place, owner[mark]
    if length > start or not found:
        yield Piece(message, start, length)


def _places(found: Sequence[tuple[int, str]], leaves: Sequence[Leaf], text: str) -> Iterator[Place]:
    """Where marked leaves stand. Of one that was cut, one mark is left: the rest is known by its text."""
    opens = {leaf.opening: leaf for leaf in leaves if leaf.opening}
    closes = {leaf.closing: leaf for leaf in leaves if leaf.opening}
    begun: dict[str, int] = {}
    for place, mark in found:
        if mark in opens:
            if mark in begun:
                yield _cut_behind(opens[mark], begun[mark], text)
            begun[mark] = place
        elif mark in closes:
            leaf = closes[mark]
            start = begun.pop(leaf.opening, None)
            kept = start is None or _kept(leaf, text[start:place])
            yield _cut_before(leaf, place, text) if start is None else Place(leaf, start, place, kept)
    for mark, place in begun.items():
        yield _cut_behind(opens[mark], place, text)


def _kept(leaf: Leaf, written: str) -> bool:
    """Whether what is between a text's marks is the text, white space aside or as JSON has it; arguments may differ."""
    if leaf.field in ("name", "argument"):
        return True
    forms = (leaf.value, *(json.dumps(leaf.value, ensure_ascii=ascii)[1:-1] for ascii in (True, False)))
    return "".join(written.split()) in ("".join(form.split()) for form in forms)


def _cut_before(leaf: Leaf, end: int, text: str) -> Place:
    shared = 0
    while shared < min(len(leaf.value), end) and text[end - 1 - shared] == leaf.value[-1 - shared]:
        shared += 1
    return Place(leaf, end - shared, end, whole=False)


def _cut_behind(leaf: Leaf, start: int, text: str) -> Place:
    shared = 0
    while shared < min(len(leaf.value), len(text) - start) and text[start + shared] == leaf.value[shared]:
        shared += 1
    return Place(leaf, start, start + shared, whole=False)


def _searched(leaves: Sequence[Leaf], pieces: Sequence[Piece], text: str) -> Iterator[Place]:
    """Leaves without marks that stand, as they are, in a piece of their message: the last place counts."""
    for leaf in leaves:
        if leaf.opening:
            continue
        for piece in reversed([piece for piece in pieces if piece.message == leaf.message]):
            start = text.rfind(leaf.value, piece.start, piece.end)
            if start >= 0:
                yield Place(leaf, start, start + len(leaf.value))
                break
