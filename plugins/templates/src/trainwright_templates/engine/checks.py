"""That a span holds one turn of the assistant and nothing else: what a mask has to pass, or it is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from trainwright_templates.engine.layout import Layout, Place
from trainwright_templates.engine.refused import Refused, excerpt
from trainwright_templates.engine.spans import Span
from trainwright_templates.engine.turns import Turn

_LONG = 12
"""Characters of a text from which on it is no chance that it stands somewhere."""


def check_span(layout: Layout, turn: Turn, span: Span, header: str, stops: Sequence[str]) -> None:
    """See that no other turn has got into a span.

    Args:
        layout: The conversation.
        turn: The turn.
        span: What would carry loss of it.
        header: What stands before it in its turn.
        stops: Texts of tokens that end a turn.

    Raises:
        Refused: A text of another message stands in it, or a second header of the assistant.
    """
    foreign = [place for place in layout.places if place.leaf.message != turn.index and _overlap(place, span)]
    if foreign:
        raise _refusal(layout.text, span, f"holds text of message {foreign[0].leaf.message}")
    mark = header.strip()
    while ended := next((stop for stop in stops if mark.startswith(stop)), ""):  # of the turn before
        mark = mark[len(ended) :].strip()
    if re.search(r"\w", mark) and any(mark in layout.text[first:last] for first, last in _frames(turn, span)):
        raise _refusal(layout.text, span, "holds another turn's header")


def check_tools(layout: Layout, turn: Turn, span: Span, offered: Iterable[str]) -> None:
    """See that what stands in a span before the turn's first text is not a list of the tools on offer.

    Args:
        layout: The conversation.
        turn: The turn.
        span: What would carry loss of it.
        offered: All texts of the tools' schemas.

    Raises:
        Refused: It is.
    """
    frame = layout.text[span.start : turn.places[0].start if turn.places else span.end]
    if any(len(text) >= _LONG and text in frame for text in offered):
        raise _refusal(layout.text, span, "holds the tools on offer")


def check_order(text: str, spans: Sequence[Span]) -> None:
    """See that spans are in order, apart, and not empty.

    Raises:
        Refused: They are not.
    """
    before = 0
    for span in spans:
        if not before <= span.start < span.end <= len(text):
            shown = Span(span.start, max(span.start, span.end), span.turn)
            raise _refusal(text, shown, "cannot be told from what is around it")
        before = span.end


def _refusal(text: str, span: Span, why: str) -> Refused:
    return Refused(
        f"what would be trained on as message {span.turn} (assistant) {why}: {excerpt(text, span.start, span.end)}",
        remedy="leave the conversation out, or use another template: `template: {name: file, path: my_template.jinja}`",
    )


def _overlap(place: Place, span: Span) -> bool:
    return span.start < place.end and place.start < span.end


def _frames(turn: Turn, span: Span) -> Iterator[tuple[int, int]]:
    """The stretches of a span in which no second header may stand.

    Between a thought and an answer one may (gpt-oss writes them as two messages, in one go), but not behind a tool
    call: there the model has stopped.
    """
    if not turn.places:
        yield span.start, span.end
        return
    yield span.start, max(span.start, turn.places[0].start)
    yield turn.places[-1].end, span.end
    calls = [place.end for place in turn.places if place.leaf.field in ("name", "argument")]
    behind = [place.start for place in turn.places if place.leaf.field in ("content", "reasoning")]
    if calls and behind and behind[-1] > calls[-1]:
        yield calls[-1], behind[-1]
