"""Where what the model must produce ends in a turn: behind its stop token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainwright_templates.engine.align import controls
from trainwright_templates.engine.layout import Layout
from trainwright_templates.engine.refused import Refused, excerpt
from trainwright_templates.engine.turns import Turn


@dataclass(frozen=True)
class Ending:
    """Where a turn ends.

    Attributes:
        end: One past its last character.
        stop: Whether that is the end of a stop token.
    """

    end: int
    stop: bool


def ending(layout: Layout, turn: Turn, start: int, stops: Sequence[str], header: str) -> Ending:
    """Where what the model must produce ends: through the stop token.

    Args:
        layout: The conversation.
        turn: The turn.
        start: Where it begins.
        stops: Texts of tokens that end a turn.
        header: What begins every turn of the assistant; what follows it in the same turn is another one.

    Raises:
        Refused: Nothing tells what stands between the turn's last text and the next message's first.
    """
    text = layout.text
    said = max([start, *(place.end for place in turn.places)])
    end = turn.parts[-1].end if turn.parts[-1].end >= said else turn.end
    frame = text[said:end]
    found = [(place, stop) for stop in stops if (place := frame.find(stop)) >= 0]
    if found:
        place = said + min(found)[0]
        return Ending(place + len(_adjacent(text[place:end], stops)), True)
    following = text[end:]
    gap = len(following) - len(following.lstrip())
    next_stop = next((stop for stop in stops if following.startswith(stop, gap)), "")
    if next_stop:
        return Ending(end + gap + len(next_stop), True)
    if not turn.told and frame.strip():
        raise Refused(
            f"message {turn.index} (assistant) cannot be told from what follows it: {excerpt(text, start, end)}",
            remedy="name the token that ends a turn: `template: {name: derived, stop: [...]}`",
        )
    marker = controls(header)[:1]
    cut = frame.find(marker[0]) if marker else -1
    return Ending(said + len((frame if cut < 0 else frame[:cut]).rstrip()), False)


def _adjacent(text: str, stops: Sequence[str]) -> str:
    """The stop tokens that a text begins with, one straight behind the other."""
    end = 0
    while found := next((stop for stop in stops if text.startswith(stop, end)), ""):
        end += len(found)
    return text[:end]
