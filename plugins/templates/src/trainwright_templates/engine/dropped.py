"""What a template leaves out of a conversation: told, or refused where it is a tool call."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from trainwright_templates.engine.layout import Layout, Place
from trainwright_templates.engine.marks import Leaf
from trainwright_templates.engine.refused import Note, Unfit
from trainwright_templates.engine.spans import Span

_PART = "'text': '"
"""What stands before a part's text where Python's own form of a part is written."""


def dropped(layout: Layout, spans: Collection[Span], turns: Collection[int]) -> Iterator[Note]:
    """Notes on the texts of a conversation that are not, or not whole, where they belong.

    Args:
        layout: The conversation.
        spans: What carries loss.
        turns: Indices of the turns that carry loss.

    Raises:
        Unfit: A tool call of such a turn, or a text among its arguments, is left out; or all that it says.
    """
    found: dict[int, list[Place]] = {}
    for place in layout.places:
        found.setdefault(id(place.leaf), []).append(place)
    by_turn = {turn: [span for span in spans if span.turn == turn] for turn in turns}
    left_out: dict[int, list[Leaf]] = {}
    for leaf in layout.leaves:
        places = found.get(id(leaf), [])
        if leaf.message in by_turn:
            inside = [place for place in places if _inside(place, by_turn[leaf.message])]
            if not inside:
                left_out.setdefault(leaf.message, []).append(leaf)
            yield from _of_turn(layout, leaf, inside)
        elif not places:
            yield Note("dropped_context", leaf.message, f"{leaf.field} of message {leaf.message} is left out")
    _check_something_said(layout, left_out)


def _check_something_said(layout: Layout, left_out: Mapping[int, Sequence[Leaf]]) -> None:
    for turn, missing in left_out.items():
        if len(missing) == sum(leaf.message == turn for leaf in layout.leaves):
            raise Unfit(
                f"the chat template leaves out all that message {turn} (assistant) says, "
                f"{missing[0].value[:60]!r}: {layout.shown(turn)}",
                remedy="give the content in the form that the template takes (a text, or a list of parts), or use "
                "another template: `template: {name: file, path: my_template.jinja}`",
            )


def check_calls(layout: Layout, turns: Collection[int]) -> None:
    """See that the template writes every tool that is called.

    Raises:
        Unfit: It drops one.
    """
    written = {id(place.leaf) for place in layout.places}
    for leaf in layout.leaves:
        if leaf.message in turns and leaf.field == "name" and id(leaf) not in written:
            raise _dropped_call(layout, leaf)


def check_parts(layout: Layout) -> None:
    """See that no content that is a list of parts (texts, images) is written as a list, by a template of texts only.

    Raises:
        Unfit: One is.
    """
    for place in layout.places:
        code = layout.text[max(0, place.start - len(_PART)) : place.start] == _PART
        if code and place.leaf.field == "content":
            raise Unfit(
                f"the chat template knows texts only, and writes the content of message {place.leaf.message} as a list "
                f"of parts: {layout.shown(place.leaf.message)}",
                remedy="give contents as texts, and no images",
            )


def _dropped_call(layout: Layout, leaf: Leaf) -> Unfit:
    what = "a tool call" if leaf.field == "name" else "an argument of a tool call"
    return Unfit(
        f"the chat template drops {what} of message {leaf.message} (assistant), {leaf.value[:60]!r}: "
        f"{layout.shown(leaf.message)}",
        remedy="use a template that writes tool calls: `template: {name: file, path: my_template.jinja}`",
    )


def _of_turn(layout: Layout, leaf: Leaf, places: list[Place]) -> Iterator[Note]:
    if any(place.whole for place in places):
        return
    if leaf.field in ("name", "argument"):
        raise _dropped_call(layout, leaf)
    kind = "dropped_reasoning" if leaf.field == "reasoning" else "dropped_content"
    how = "cut or changed" if places else "left out"
    yield Note(kind, leaf.message, f"{leaf.field} of message {leaf.message} is {how}")  # type: ignore[arg-type]


def _inside(place: Place, spans: Collection[Span]) -> bool:
    # The prompt may have written its beginning (`<think>`); of a text that was cut only one end is known for sure.
    return any(
        span.start < place.end and place.start < span.end and (place.end <= span.end or not place.whole)
        for span in spans
    )
