"""What stands around the supervised part of each piece of a rendering: learnt from derived masks, as constant strings.

A piece reads, from left to right: a *carry* (the end of the turn before it, where the next message writes its stop
token), a *head* (the header that the generation prompt writes), what the model must produce, and a *tail* (what follows
the stop token). Head, tail and carry are the template's own words, never a message's, so a few strings say all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

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

    def constant(self, start: int, end: int) -> bool:
        """Whether no message's text is in this part."""
        return not any(low < end and start < high for low, high in self.own)


class UnlearnableError(Exception):
    """Why these pieces and masks follow from no set of frames."""


def sights(text: str, pieces: Sequence[Piece], spans: Sequence[Range], own: Sequence[Range]) -> Iterator[Sight]:
    """What each piece shows; raises `UnlearnableError` where one holds two supervised parts."""
    shown = [piece for piece in pieces if piece.end > piece.start]
    before = ""
    for piece in shown:
        following = pieces[pieces.index(piece) + 1 :]
        parts = [(max(a, piece.start), min(b, piece.end), a) for a, b in spans if a < piece.end and b > piece.start]
        carried = [part for part in parts if part[2] < piece.start]
        carry = carried[0][1] - piece.start if carried else 0
        rest = [part for part in parts if part[2] >= piece.start]
        if carried and piece.kind.lower() == ASSISTANT and not rest and _goes_on(before, piece):
            rest, carry = carried, 0
        if len(rest) > 1:
            raise UnlearnableError(f"a reply's text has two supervised parts: {text[piece.start : piece.end]!r:.200}")
        head, tail = (rest[0][0] - piece.start, rest[0][1] - piece.start) if rest else (None, 0)
        mine = tuple((a - piece.start, b - piece.start) for a, b in own if a < piece.end and b > piece.start)
        is_open = any(a < piece.start <= b for a, b in spans)
        after = following[0].kind if following else ""
        yield Sight(before, piece.kind, after, is_open, text[piece.start : piece.end], carry, head, tail, mine)
        before = piece.kind


def _goes_on(before: str, piece: Piece) -> bool:
    """Whether this piece goes on with the reply that was interrupted by a nested loop."""
    return piece.kind == ASSISTANT.upper()


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
    """Rules by place: `by` says what a place is (`KEYS`), `rules` has them by its key."""

    by: str
    rules: dict[str, Rules]


def learn(seen: Iterable[Sight], stops: Sequence[str]) -> Frames:
    """The frames that give every sight its parts, told apart by as little as will do; raises `UnlearnableError`."""
    every = list(dict.fromkeys(seen))
    why = "no reply was seen"
    for by, key in KEYS.items():
        rules: dict[str, Rules] = {}
        for sight in every:
            _add(rules.setdefault(key(sight), Rules()), sight, stops)
        wrong = next((s for s in every if rules[key(s)].parts(s.text, s.open) != (s.carry, s.head, s.tail)), None)
        if wrong is None and any(rule.heads for rule in rules.values()):
            return Frames(by, rules)
        if wrong is not None:
            rule = rules[key(wrong)]
            why = f"the frame of {wrong} cannot be told: {rule.parts(wrong.text, wrong.open)} by {rule}"
    raise UnlearnableError(why)


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
