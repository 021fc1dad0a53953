"""Why there is no mask, and what can be said of one that there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainwright.errors import DataError

Kind = Literal[
    "dropped_reasoning",
    "dropped_content",
    "dropped_context",
    "no_stop",
    "stop_added",
    "prefill",
    "other_prompt",
]


class Refused(DataError):  # noqa: N818 (it is no error of the data)
    """A conversation for which no mask can be derived and verified."""


class Unfit(Refused):
    """A conversation that the template does not write as it was said: nothing is unclear about its rendering."""


@dataclass(frozen=True)
class Note:
    """What a person should know of a mask.

    Attributes:
        kind: What happened: `dropped_reasoning`, `dropped_content` and `dropped_context` (a message of another role)
            for what the template leaves out; `no_stop` for a turn that does not end with a stop token, `stop_added`
            where one was added; `prefill` where the prompt begins the turn's thought, `other_prompt` where it ends
            otherwise than what stands before the turn.
        turn: Index of the message; None for the conversation.
        text: More about it.
    """

    kind: Kind
    turn: int | None
    text: str

    def __str__(self) -> str:
        """`kind: text`, as `Tokens.notes` has it."""
        return f"{self.kind}: {self.text}"


def excerpt(text: str, start: int, end: int, around: int = 40) -> str:
    """A stretch of a rendering in brackets, with what stands around it, on one line."""
    before, inside, after = text[max(0, start - around) : start], text[start:end], text[end : end + around]
    if len(inside) > 3 * around:
        inside = f"{inside[:around]}…{inside[-around:]}"
    return repr(f"{before}⟦{inside}⟧{after}")[1:-1]
