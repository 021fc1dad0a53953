"""One assistant turn in a rendered conversation: what it wrote, as far as loops and marks tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from trainwright_templates.engine.layout import Layout, Piece, Place
from trainwright_templates.engine.refused import Unfit, excerpt


@dataclass(frozen=True)
class Turn:
    """What a message wrote, as far as loops and marks tell.

    Attributes:
        index: Index of the message.
        start: Where its text begins.
        end: Where it ends.
        parts: The pieces in it; several where tools' results stand inside the turn.
        places: Where its own leaves stand.
        told: Whether loops tell where it ends; else it is where the next text of the data begins.
    """

    index: int
    start: int
    end: int
    parts: tuple[Piece, ...]
    places: tuple[Place, ...]
    told: bool = True


def find_turn(layout: Layout, index: int) -> Turn:
    """Where a turn lies.

    Raises:
        Unfit: The template writes nothing of it.
    """
    places = tuple(place for place in layout.places if place.leaf.message == index)
    pieces = tuple(layout.of(index))
    if pieces:
        parts = _undivided(layout, pieces)
        own = tuple(each for each in places if parts[0].start <= each.start and each.end <= parts[-1].end)
        _check_nothing_behind(layout, index, parts[-1].end, places, own)
        return Turn(index, parts[0].start, parts[-1].end, parts, own)
    if not places:
        raise Unfit(
            f"the chat template writes nothing for message {index} (assistant): {layout.shown(index)}",
            remedy="take the message out of the data, or use a template that writes it: "
            "`template: {name: file, path: my_template.jinja}`",
        )
    first, last = places[0].start, places[-1].end
    others = [place for place in layout.places if place.leaf.message != index]
    start = max((place.end for place in others if place.end <= first), default=0)
    end = min((place.start for place in others if place.start >= last), default=len(layout.text))
    return Turn(index, start, end, (Piece(index, start, end),), places, told=False)


def _undivided(layout: Layout, pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """A turn's pieces up to where the texts of other messages, tools' results, stand in it."""
    kept = [pieces[0]]
    for before, piece in pairwise(pieces):
        if any(before.end <= place.start < piece.start for place in layout.places):
            break
        kept.append(piece)
    return tuple(kept)


def _check_nothing_behind(layout: Layout, index: int, end: int, places: Sequence[Place], own: Sequence[Place]) -> None:
    """See that a turn says nothing behind its own tools' results: it cannot have been generated there.

    What it has said in the turn may be said again later, by a question that quotes it: that is context.

    Raises:
        Unfit: It does.
    """
    said = {id(place.leaf) for place in own}
    for place in places:
        if place.start >= end and place.leaf.field in ("content", "reasoning") and id(place.leaf) not in said:
            raise Unfit(
                f"the chat template writes the {place.leaf.field} of message {index} (assistant) outside its turn, "
                f"behind what others say (tools' results): {excerpt(layout.text, place.start, place.end)}",
                remedy="leave content out of turns that call tools, or use a template that writes it before the calls",
            )
