"""Where what the model must produce begins in a turn: where its prompt ends."""

from __future__ import annotations

from dataclasses import dataclass

from trainwright_templates.engine.align import (
    Overlap,
    begun,
    controls,
    ends_so,
    header_in,
    names_role,
    opened_thought,
    overlap,
)
from trainwright_templates.engine.layout import Layout
from trainwright_templates.engine.prompts import ROLE, Prompts
from trainwright_templates.engine.refused import Refused, Unfit, excerpt
from trainwright_templates.engine.turns import Turn
from trainwright_templates.render import RenderError


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
        Refused: The turn begins neither as its prompt goes on nor as any other turn of the assistant.
        Unfit: No prompt can be rendered at all.
    """
    text, region = layout.text, layout.text[turn.start : turn.end]
    lead = layout.lead(turn.start)
    try:
        found = _overlap(prompts.probable(turn.index), turn, region, lead)
        other = prompts.known(turn.index, (region[: found.length], found.rest))
        if other is None:
            found = _overlap(prompts.exact(turn.index), turn, region, lead)
    except RenderError as error:
        return Beginning(turn.start + _opening(layout, turn, prompts, error))
    start = turn.start + (found.length or _unprompted(layout, turn, found.rest, prompts))
    if other is None:
        end = prompts.exact(turn.index).removesuffix(found.rest)
        other = "" if ends_so(text[:start], end) else end
        prompts.know(turn.index, (region[: found.length], found.rest), other)
    return Beginning(start, found.rest, other)


def _overlap(prompt: str, turn: Turn, region: str, lead: str) -> Overlap:
    """How far a prompt reaches into a turn: not into what it says, but for a thought that both begin."""
    found = overlap(prompt, region, lead)
    if not turn.places or not turn.places[0].whole:  # of a text that was cut nobody knows where it begins
        return found
    said = turn.places[0].start - turn.start
    if found.length > said and opened_thought(region[said : found.length]):
        return overlap(prompt, region[:said], lead)
    return found


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


def _unprompted(layout: Layout, turn: Turn, rest: str, prompts: Prompts) -> int:
    """How long the header of a turn is of which its prompt has written nothing.

    Some templates write no prompt behind an answer, but a header all the same: that of any other prompt.

    Args:
        layout: The conversation.
        turn: The turn.
        rest: What the prompt goes on with where the turn begins.
        prompts: Of the conversation.

    Raises:
        Refused: The turn begins otherwise than the prompt goes on, and as a message of another role does, or as no loop
            tells.
    """
    frame = layout.text[turn.start : turn.places[0].start] if turn.places else ""
    if not frame.strip():
        return 0
    try:
        prompt = prompts.of_a_question()
    except RenderError:
        prompt = ""
    length = _from_prompt(prompt, frame) or _header(frame)
    others = [piece for piece in layout.pieces if piece.message is not None and prompts.role(piece.message) != ROLE]
    foreign = rest.strip() and any(layout.text.startswith(frame.strip(), piece.start) for piece in others)
    if not length and (foreign or not turn.told):
        how = "as a message of another role does" if foreign else f"with {frame!r}"
        raise Refused(
            f"message {turn.index} (assistant) begins {how}, not as its prompt goes on, with {rest!r}: "
            f"{excerpt(layout.text, turn.start, turn.end)}",
            remedy="leave the conversation out, or use a template that writes prompts as it writes the past: "
            "`template: {name: file, path: my_template.jinja}`",
        )
    return length


def _from_prompt(prompt: str, frame: str) -> int:
    """Where in a frame a header ends that a prompt ends with too; 0 where there is none."""
    header = header_in(prompt, frame)
    if not header:
        return 0
    start = frame.rindex(header)
    return start + begun(prompt[prompt.rindex(header) :], frame[start:]).length


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
