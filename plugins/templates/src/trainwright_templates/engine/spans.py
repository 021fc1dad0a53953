"""What carries loss in a rendered conversation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """What the model must produce in one turn: characters `start` up to `end` of the text.

    Attributes:
        start: First character.
        end: One past the last character.
        turn: Index of the message.
    """

    start: int
    end: int
    turn: int
