"""One assistant turn in a rendered conversation: where it begins, what the prompt has written of it, where it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trainwright_templates.engine.align import Overlap, controls, header_in, names_role, overlap, shared
from trainwright_templates.engine.layout import Layout, Piece, Place
from trainwright_templates.engine.prompts import Prompts
from trainwright_templates.engine.refused import Refused, excerpt
from trainwright_templates.render import RenderError


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
        Refused: Neither a loop nor a text tells.
    """
    places = tuple(place for place in layout.places if place.leaf.message == index)
    pieces = tuple(layout.of(index))
    if pieces:
        parts = _undivided(layout, pieces)
        own = tuple(each for each in places if parts[0].start <= each.start and each.end <= parts[-1].end)
        _check_nothing_behind(layout, index, parts[-1].end, places)
        return Turn(index, parts[0].start, parts[-1].end, parts, own)
    if not places:
        raise Refused(
            f"the chat template writes nothing for message {index} (assistant)",
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


def _check_nothing_behind(layout: Layout, index: int, end: int, places: Sequence[Place]) -> None:
    """See that a turn says nothing behind its own tools' results: it cannot have been generated there.

    Raises:
        Refused: It does.
    """
    behind = [place for place in places if place.start >= end and place.leaf.field in ("content", "reasoning")]
    if behind:
        raise Refused(
            f"the chat template writes the {behind[0].leaf.field} of message {index} (assistant) behind the results of "
            f"the tools that it calls: {excerpt(layout.text, behind[0].start, behind[0].end)}",
            remedy="leave content out of turns that call tools, or use a template that writes it before the calls",
        )


def beginning(layout: Layout, turn: Turn, prompts: Prompts) -> tuple[int, Overlap]:
    """Where what the model must produce begins: where the turn's prompt ends.

    Raises:
        Refused: No prompt can be rendered, for this turn or any.
    """
    text, region = layout.text, layout.text[turn.start : turn.end]
    before = text[: turn.start]
    try:
        found = overlap(prompts.probable(turn.index), region, before)
        if not prompts.as_known(turn.index, (region[: found.length], found.rest)):
            found = overlap(prompts.exact(turn.index), region, before)
            prompts.know(turn.index, (region[: found.length], found.rest))
    except RenderError as error:
        found = _opening(turn, region, prompts, error)
    start = turn.start + found.length
    if found.length or not turn.places:
        return start, found
    return start + _header(text[start : turn.places[0].start]), found


def _opening(turn: Turn, region: str, prompts: Prompts, error: RenderError) -> Overlap:
    """The beginning of a turn whose own prompt the template rejects (it opens the conversation): as of any other turn.

    Raises:
        Refused: It is not written like the others.
    """
    said = min((place.start for place in turn.places), default=turn.end) - turn.start
    try:
        prompt = prompts.of_a_question()
    except RenderError:
        raise Refused(error.problems[0].message, remedy=error.problems[0].remedy) from error
    if not region[:said].strip():  # the template writes no header before it
        return Overlap(0, True, "")
    header = header_in(prompt, region[:said])
    if not header:
        raise Refused(
            f"message {turn.index} (assistant) has no prompt: {error.problems[0].message}",
            remedy="put a user turn before it, or give it `weight: 0`",
        )
    start = region.rfind(header, 0, said)
    rest = prompt[prompt.rindex(header) :]
    return Overlap(start + shared(rest, region[start:])[1], True, "")


def _header(frame: str) -> int:
    """The length of a header that no prompt wrote: a template that knows no generation prompt writes one all the same.

    It is what stands before the turn's first text, up to its last control token, where the role's name is among it.
    """
    found = controls(frame)
    if not found or not names_role(frame):
        return 0
    end = frame.rindex(found[-1]) + len(found[-1])
    behind = frame[end:]
    return (
        len(frame)
        if behind.strip().lower() in ("assistant", "model", "chatbot")
        else end + len(behind) - len(behind.lstrip("\n"))
    )


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
    if next_stop and not (header and header.lstrip().startswith(next_stop)):
        return Ending(end + gap + len(next_stop), True)
    if not turn.told and frame.strip() and following:
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


def check_frame(layout: Layout, turn: Turn, start: int, end: int, header: str, stops: Sequence[str]) -> None:
    """See that no other turn has got into a span.

    Raises:
        Refused: A text of another message stands in it, or a second header of the assistant.
    """
    foreign = [
        place for place in layout.places if place.leaf.message != turn.index and start < place.end and place.start < end
    ]
    if foreign:
        raise Refused(
            f"what would be trained on as message {turn.index} (assistant) holds text of message "
            f"{foreign[0].leaf.message}: {excerpt(layout.text, start, end)}",
            remedy="use a template that keeps them apart: `template: {name: file, path: my_template.jinja}`",
        )
    mark = header.strip()
    while ended := next((stop for stop in stops if mark.startswith(stop)), ""):  # of the turn before
        mark = mark[len(ended) :].strip()
    for first, last in _frames(turn, start, end) if mark else ():
        if mark in layout.text[first:last]:
            raise Refused(
                f"what would be trained on as message {turn.index} (assistant) holds another turn's header: "
                f"{excerpt(layout.text, start, end)}",
                remedy="use another template: `template: {name: file, path: my_template.jinja}`",
            )


def _frames(turn: Turn, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of a span in which no second header may stand.

    Between a thought and an answer one may (gpt-oss writes them as two messages, in one go), but not behind a tool
    call: there the model has stopped.
    """
    if not turn.places:
        yield start, end
        return
    yield start, max(start, turn.places[0].start)
    yield turn.places[-1].end, end
    calls = [place.end for place in turn.places if place.leaf.field in ("name", "argument")]
    behind = [place.start for place in turn.places if place.leaf.field in ("content", "reasoning")]
    if calls and behind and behind[-1] > calls[-1]:
        yield calls[-1], behind[-1]
