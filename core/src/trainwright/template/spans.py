"""Where the assistant's turns lie in a rendered conversation: derived here, verified in `verify`; never guessed.

A turn's span goes from where the generation prompt for the messages before it ends, through its stop token. So what is
supervised is what the model would have to generate, and what precedes it is the prompt that it would see.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trainwright.errors import DataError
from trainwright.template.diff import difference, shared_length
from trainwright.template.render import Message, Renderer


@dataclass(frozen=True)
class Span:
    """What the assistant says in one turn: the characters `start` up to `end` of the render.

    Attributes:
        start: First character.
        end: One past the last character.
        turn: Index of the message; None where it is not known which one (markers inside a turn).
    """

    start: int
    end: int
    turn: int | None


def supervised_turns(messages: Sequence[Message]) -> list[int]:
    """Indices of the assistant turns that carry loss: all but those with `weight: 0`.

    Raises:
        DataError: Where there is none, where the conversation ends otherwise, or a weight is neither 0 nor 1.
    """
    if not messages or messages[-1].get("role") != "assistant":
        last = f"a turn of role {messages[-1].get('role')!r}" if messages else "nothing: it is empty"
        raise DataError(
            f"the conversation ends with {last}, not with an assistant turn",
            remedy="end it after the assistant's answer, or leave the row out",
        )
    for index, message in enumerate(messages):
        if message.get("weight") not in (None, 0, 1):
            raise DataError(f"message {index}: `weight` is {message['weight']!r}; only 0 (no loss) and 1 mean anything")
    turns = [i for i, m in enumerate(messages) if m.get("role") == "assistant" and m.get("weight") != 0]
    if not turns:
        raise DataError("every assistant turn has `weight: 0`: nothing would carry loss", remedy="leave the row out")
    return turns


def without_weights(messages: Sequence[Message]) -> list[Message]:
    """The messages as the template sees them: `weight` is for the mask alone."""
    return [{key: value for key, value in message.items() if key != "weight"} for message in messages]


def prefix_spans(
    render: Renderer, messages: Sequence[Message], turns: Sequence[int], stops: Sequence[str]
) -> tuple[str, list[Span]]:
    """The text of a conversation and the span of each turn, by rendering the conversation up to each turn.

    Args:
        render: Renders messages to text.
        messages: The conversation, without `weight`.
        turns: Indices of the turns wanted, ascending.
        stops: Texts of the tokens that end a turn.

    Raises:
        DataError: Where a turn's prompt, or the turn as the last one, is not a prefix of the whole render.
    """
    text = render(messages)
    spans = []
    for turn in turns:
        start = _turn_start(render, messages, turn, text)
        alone = text if turn == len(messages) - 1 else render(messages[: turn + 1])
        spans.append(Span(start, _turn_end(text, alone, start, turn, stops), turn))
    return text, spans


def _turn_start(render: Renderer, messages: Sequence[Message], turn: int, text: str) -> int:
    if turn == 0:
        raise DataError(
            "the conversation starts with an assistant turn, so there is no prompt to generate it from",
            remedy="put a user or system turn before it, or give it `weight: 0`",
        )
    prompt = render(messages[:turn], prompt=True)
    if not text.startswith(prompt):
        raise DataError(
            f"the prompt of message {turn} (assistant) is not how the whole conversation begins: the chat template "
            "renders the past otherwise than the present\n"
            + difference(("prompt at inference", prompt), ("whole conversation", text)),
            remedy=_REWRITES,
        )
    return len(prompt)


def _turn_end(text: str, alone: str, start: int, turn: int, stops: Sequence[str]) -> int:
    """One past the turn's stop token; without one, where the render of the conversation up to the turn ends.

    What a template adds only after the last turn (an end of text behind the stop token) does not count against it.
    """
    if text.startswith(alone):
        stopped = _stop_end(text[start : len(alone)], stops)
        following = next((stop for stop in stops if text.startswith(stop, len(alone))), "")
        return start + stopped if stopped else len(alone) + len(following)
    shared = shared_length(text, alone)
    ends = [found + len(stop) for stop in stops if (found := text.rfind(stop, start, shared)) >= 0]
    end = max(ends, default=shared)
    if not ends or _without(alone[end:], stops).strip():
        raise DataError(
            f"the chat template writes message {turn} (assistant) otherwise once other messages follow it\n"
            + difference(("as the last turn", alone), ("whole conversation", text)),
            remedy=_REWRITES,
        )
    return end


def _stop_end(said: str, stops: Sequence[str]) -> int:
    r"""One past the stop tokens that a turn's text ends with; 0 without one.

    Adjacent stop tokens are all generated; what follows them after white space is not (`<|end|>\n<|endoftext|>`).
    """
    any_stop = "|".join(re.escape(stop) for stop in stops) or "(?!)"
    ending = re.search(rf"((?:{any_stop})+)(?:\s|{any_stop})*$", said)
    return ending.end(1) if ending else 0


def _without(text: str, stops: Sequence[str]) -> str:
    for stop in stops:
        text = text.replace(stop, "")
    return text


_REWRITES = (
    "give earlier assistant turns `weight: 0` or cut the conversation into one row for each answer (a template that "
    "drops reasoning from the past trains correctly on the last turn only), or use a template with "
    "{% generation %} markers: `template: {name: file, path: my_template.jinja}`"
)


def marker_spans(render: Renderer, messages: Sequence[Message], turns: Sequence[int]) -> tuple[str, list[Span]]:
    """The text of a conversation and what its template's `{% generation %}` markers enclose.

    The author's choice stands (a prefilled `<think>`, a newline behind the stop token); `verify` checks that the
    ranges are where the markers are, which transformers gets wrong for markers inside macros.

    Raises:
        DataError: Where the markers change the text, or turns are left out (`weight: 0`) that cannot be told apart.
    """
    text, ranges = render.marked(messages)
    if text != (plain := render(messages)):
        raise DataError(
            "the chat template's {% generation %} markers change what it renders\n"
            + difference(("with markers tracked", text), ("plain", plain)),
            remedy="mend the template's markers",
        )
    spoken = [index for index, message in enumerate(messages) if message.get("role") == "assistant"]
    ranges = [(start, end) for start, end in ranges if end > start]
    if len(ranges) == len(spoken):
        pairs = zip(spoken, ranges, strict=True)
        return text, [Span(start, end, turn) for turn, (start, end) in pairs if turn in turns]
    if len(turns) != len(spoken):
        raise DataError(
            f"the chat template marks {len(ranges)} ranges for {len(spoken)} assistant turns, so turns with "
            "`weight: 0` cannot be told from the others",
            remedy="cut the conversation so that every assistant turn carries loss",
        )
    return text, [Span(start, end, None) for start, end in ranges]
