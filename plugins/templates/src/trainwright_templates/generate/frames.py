"""What stands around the supervised part of each piece of a rendering: learnt from derived masks, as constant strings.

A piece reads, from left to right: a *carry* (the end of the turn before it, where the next message writes its stop
token), a *head* (the header that the generation prompt writes), what the model must produce, and a *tail* (what follows
the stop token). Head, tail and carry are the template's own words, never a message's, so a few strings say all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from trainwright_templates.generate.pieces import ASSISTANT, Piece

Range = tuple[int, int]


@dataclass(frozen=True)
class Sight:
    """One piece that is not empty, as a probe conversation showed it.

    Attributes:
        before: Kind of the piece before it that is not empty.
        kind: Its own kind.
        after: Kind of the next piece, empty at the end.
        open: Whether the text before it is supervised to its end.
        text: Its text.
        carry: Length of the carry.
        head: Where the supervised part begins; None where there is none.
        tail: Where it ends.
        own: Parts of the text that a message brought.
        setting: The template variables that were set (`setting_of`).
    """

    before: str
    kind: str
    after: str
    open: bool
    text: str
    carry: int
    head: int | None
    tail: int
    own: tuple[Range, ...] = ()
    setting: str = ""

    def constant(self, start: int, end: int) -> bool:
        """Whether no message's text is in this part."""
        return not any(low < end and start < high for low, high in self.own)


class UnlearnableError(Exception):
    """Why these pieces and masks follow from no set of frames."""


def setting_of(variables: Mapping[str, Any]) -> str:
    """Template variables as text, `|name=value` each; a training template writes the same of what it is given."""
    return "".join(f"|{name}={value}" for name, value in sorted(variables.items()))


def sights(
    text: str, pieces: Sequence[Piece], spans: Sequence[Range], own: Sequence[Range], setting: str = ""
) -> Iterator[Sight]:
    """What each piece of a rendering shows.

    Args:
        text: The rendering.
        pieces: Its pieces.
        spans: What is supervised of it.
        own: What messages brought of it.
        setting: The template variables that were set.

    Raises:
        UnlearnableError: A piece holds two supervised parts.
    """
    before = ""
    for at, piece in enumerate(pieces):
        if piece.end == piece.start:
            continue
        carry, head, tail = _parts(text, piece, spans)
        after = pieces[at + 1].kind if at + 1 < len(pieces) else ""
        is_open = any(start < piece.start <= end for start, end in spans)
        inside = tuple(_within(piece, own))
        shown = text[piece.start : piece.end]
        yield Sight(before, piece.kind, after, is_open, shown, carry, head, tail, inside, setting)
        before = piece.kind


def _parts(text: str, piece: Piece, spans: Sequence[Range]) -> tuple[int, int | None, int]:
    """Carry, head and tail of a piece, as `Sight` has them."""
    carried = list(_within(piece, [span for span in spans if span[0] < piece.start]))
    own = list(_within(piece, [span for span in spans if span[0] >= piece.start]))
    if len(own) > 1:
        raise UnlearnableError(f"a reply's text has two supervised parts: {text[piece.start : piece.end]!r:.200}")
    if carried and not own and piece.kind == ASSISTANT.upper():  # it goes on with the reply around a nested loop
        return 0, 0, carried[0][1]
    carry = carried[0][1] if carried else 0
    return (carry, *own[0]) if own else (carry, None, 0)


def _within(piece: Piece, ranges: Iterable[Range]) -> Iterator[Range]:
    """The parts of ranges that are in a piece, as characters of the piece."""
    for start, end in ranges:
        if start < piece.end and end > piece.start:
            yield max(start, piece.start) - piece.start, min(end, piece.end) - piece.start


@dataclass
class Rules:
    """Frames of one kind of place. `tails` maps an ending to how much of it is not supervised."""

    heads: set[str] = field(default_factory=set)
    tails: dict[str, int] = field(default_factory=dict)
    carries: set[str] = field(default_factory=set)

    def parts(self, text: str, is_open: bool) -> tuple[int, int | None, int]:
        """Carry, head and tail of a text, as `Sight` has them: the longest that match."""
        carry = max((len(c) for c in self.carries if text.startswith(c)), default=0) if is_open else 0
        rest = text[carry:]
        heads = [len(head) for head in self.heads if rest.startswith(head)]
        if not heads:
            return carry, None, 0
        start = carry + max(heads)
        ends = [(len(tail), cut) for tail, cut in self.tails.items() if text[start:].endswith(tail)]
        end = len(text) - (max(ends)[1] if ends else 0)
        return (carry, start, end) if end > start else (carry, None, 0)


Key = Callable[[Sight], str]
KEYS: dict[str, Key] = {
    "kind": lambda sight: sight.kind,
    "before": lambda sight: sight.before + sight.kind,
    "after": lambda sight: sight.kind + sight.after,
    "both": lambda sight: sight.before + sight.kind + sight.after,
}


@dataclass(frozen=True)
class Frames:
    """Rules by place.

    Attributes:
        by: What a place is (`KEYS`).
        rules: Key of the place, with the setting of variables where they matter → its rules.
        variables: The variables that matter, in order.
    """

    by: str
    rules: dict[str, Rules]
    variables: tuple[str, ...] = ()


def learn(seen: Iterable[Sight], stops: Sequence[str], variables: Sequence[str] = ()) -> Frames:
    """The frames that give every sight its parts, told apart by as little as will do.

    Args:
        seen: What was seen.
        stops: Texts of stop tokens.
        variables: The template variables that sights' settings may have, in order.

    Raises:
        UnlearnableError: There are none.
    """
    every = list(dict.fromkeys(seen))
    why = "no reply was seen"
    for by, set_apart in product(KEYS, (False, True)):
        rules, wrong = _rules(every, [KEYS[by](s) + s.setting * set_apart for s in every], stops)
        if not wrong and any(rule.heads for rule in rules.values()):
            return Frames(by, rules, tuple(variables) if set_apart else ())
        why = wrong or why
    raise UnlearnableError(why)


def _rules(seen: Sequence[Sight], keys: Sequence[str], stops: Sequence[str]) -> tuple[dict[str, Rules], str]:
    """Rules by the keys of what was seen, and what they get wrong."""
    rules: dict[str, Rules] = {}
    for key, sight in zip(keys, seen, strict=True):
        _add(rules.setdefault(key, Rules()), sight, stops)
    for key, sight in zip(keys, seen, strict=True):
        rule = rules[key]
        parts = rule.parts(sight.text, sight.open)
        if parts != (sight.carry, sight.head, sight.tail):
            return rules, f"the frame of {sight} cannot be told: {parts} by {rule}"
    return rules, ""


def _add(rules: Rules, sight: Sight, stops: Sequence[str]) -> None:
    text = sight.text
    if sight.carry and sight.constant(0, sight.carry):
        rules.carries.add(text[: sight.carry])
    if sight.head is None:
        if sight.kind.lower() == ASSISTANT and sight.constant(sight.carry, len(text)):
            rules.heads.add(text[sight.carry :])
        return
    if sight.constant(sight.carry, sight.head):
        rules.heads.add(text[sight.carry : sight.head])
    if sight.constant(sight.tail, len(text)):
        stop = max((s for s in stops if s and text[sight.head : sight.tail].endswith(s)), key=len, default="")
        rules.tails[stop + text[sight.tail :]] = len(text) - sight.tail
