"""One assistant turn in a rendered conversation: where it begins, what the prompt has written of it, where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from trainwright_templates.engine.align import controls, ends_so, header_in, names_role, overlap, shared
from trainwright_templates.engine.layout import Layout, Piece, Place
from trainwright_templates.engine.prompts import Prompts
from trainwright_templates.engine.refused import Refused, Unfit, excerpt
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
        Unfit: The template writes nothing of it.
    """
    places = tuple(place for place in layout.places if place.leaf.message == index)
    pieces = tuple(layout.of(index))
    if pieces:
        parts = _undivided(layout, pieces)
        own = tuple(each for each in places if parts[0].start <= each.start and each.end <= parts[-1].end)
        _check_nothing_behind(layout, index, parts[-1].end, places)
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


def _check_nothing_behind(layout: Layout, index: int, end: int, places: Sequence[Place]) -> None:
    """See that a turn says nothing behind its own tools' results: it cannot have been generated there.

    Raises:
        Unfit: It does.
    """
    behind = [place for place in places if place.start >= end and place.leaf.field in ("content", "reasoning")]
    if behind:
        raise Unfit(
            f"the chat template writes the {behind[0].leaf.field} of message {index} (assistant) behind the results of "
            f"the tools that it calls: {excerpt(layout.text, behind[0].start, behind[0].end)}",
            remedy="leave content out of turns that call tools, or use a template that writes it before the calls",
        )


@dataclass(frozen=True)
class Beginning:
    """Where what the model must produce begins.

    Attributes:
        start: Its first character.
        rest: What the prompt goes on with, where the turn goes on otherwise.
        other: The end of the prompt, where something else stands before `start`; else empty.
    """

    start: int
    rest: str = ""
    other: str = ""


def beginning(layout: Layout, turn: Turn, prompts: Prompts) -> Beginning:
    """Where what the model must produce begins: where the turn's prompt ends.

    Raises:
        Refused: The turn's own prompt cannot be rendered, and it does not begin like the others.
        Unfit: No prompt can be rendered at all.
    """
    text, region = layout.text, layout.text[turn.start : turn.end]
    before = text[: turn.start]
    try:
        found = overlap(prompts.probable(turn.index), region, before)
        known = prompts.known(turn.index, (region[: found.length], found.rest))
        if known is None:
            found = overlap(prompts.exact(turn.index), region, before)
    except RenderError as error:
        return Beginning(turn.start + _opening(layout, turn, prompts, error))
    start = turn.start + (found.length or _unprompted(turn, region, prompts))
    if known is None:
        known = prompts.exact(turn.index).removesuffix(found.rest)
        known = "" if ends_so(text[:start], known) else known
        prompts.know(turn.index, (region[: found.length], found.rest), known)
    return Beginning(start, found.rest, known)


def _opening(layout: Layout, turn: Turn, prompts: Prompts, error: RenderError) -> int:
    """How long the header of a turn is whose own prompt the template rejects (it opens the conversation).

    Raises:
        Refused: It is not written like the others.
        Unfit: The template rejects a question, too.
    """
    frame = layout.text[turn.start : min((place.start for place in turn.places), default=turn.end)]
    try:
        prompt = prompts.of_a_question()
    except RenderError:
        raise Unfit(error.problems[0].message, remedy=error.problems[0].remedy) from error
    if not frame.strip():  # the template writes no header before it
        return 0
    length = _from_prompt(prompt, frame)
    if not length:
        raise Refused(
            f"message {turn.index} (assistant) has no prompt ({error.problems[0].message}), and does not begin as "
            f"behind a question: {layout.shown(turn.index)}",
            remedy="put a user turn before it, or give it `weight: 0`",
        )
    return length


def _unprompted(turn: Turn, region: str, prompts: Prompts) -> int:
    """How long the header of a turn is of which its prompt has written nothing.

    Some templates write no prompt behind an answer, but a header all the same: that of any other prompt.
    """
    frame = region[: turn.places[0].start - turn.start] if turn.places else ""
    if not frame.strip():
        return 0
    try:
        prompt = prompts.of_a_question()
    except RenderError:
        prompt = ""
    return _from_prompt(prompt, frame) or _header(frame)


def _from_prompt(prompt: str, frame: str) -> int:
    """Where in a frame a header ends that a prompt ends with too; 0 where there is none."""
    header = header_in(prompt, frame)
    if not header:
        return 0
    start = frame.rindex(header)
    return start + shared(prompt[prompt.rindex(header) :], frame[start:])[1]


def _header(frame: str) -> int:
    """The length of a header that no prompt writes: of a template that knows no generation prompt.

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
