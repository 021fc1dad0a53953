"""Masks of any chat template: what the assistant says, derived from how the template renders, and verified.

    Surveyor.layout ─ one rendering with marks: who wrote which text, where each text of the data stands
    Prompts         ─ the ends of the prompts, rendered for the first turn of each kind
    beginning       ─ where the turn's prompt ends
    ending          ─ where its stop token ends
    checks, dropped ─ what must not be in a span, and what is not there

A span reaches from where the generation prompt ends through the stop token. Nothing is guessed: a span that holds
another turn's text or header, that overlaps another, or that misses a tool call is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from trainwright_templates.engine.align import opened_thought
from trainwright_templates.engine.beginning import beginning
from trainwright_templates.engine.checks import check_order, check_span, check_tools
from trainwright_templates.engine.dropped import check_calls, check_parts, dropped
from trainwright_templates.engine.ending import ending
from trainwright_templates.engine.layout import Layout, Surveyor
from trainwright_templates.engine.marks import texts_of
from trainwright_templates.engine.prompts import Prompts
from trainwright_templates.engine.refused import Note, Unfit
from trainwright_templates.engine.spans import Span
from trainwright_templates.engine.stops import template_stops
from trainwright_templates.engine.turns import Turn, find_turn
from trainwright_templates.render import Template


@dataclass(frozen=True)
class Derived:
    """A rendered conversation and its mask.

    Attributes:
        text: The rendering.
        spans: What carries loss, in order and apart.
        notes: What a person should know.
        sources: Where the texts of the data stand, in order: characters `(start, end)`.
        owners: The index of the message that each of them belongs to.
    """

    text: str
    spans: tuple[Span, ...]
    notes: tuple[Note, ...]
    sources: tuple[tuple[int, int], ...]
    owners: tuple[int, ...] = ()

    def sources_of(self, messages: Collection[int]) -> list[tuple[int, int]]:
        """Where the texts of these messages stand."""
        return [place for place, owner in zip(self.sources, self.owners, strict=True) if owner in messages]


class Engine:
    """Derives masks of one template.

    Args:
        template: The template.
        stops: Texts of the tokens that end a turn, as the model's files name them.
        prefill: Whether what the prompt writes of a turn's thought (`<think>`) carries loss too.
    """

    def __init__(self, template: Template, *, stops: Sequence[str] = (), prefill: bool = False) -> None:
        self.surveyor = Surveyor(template)
        self.declared, self.prefill = tuple(stops), prefill

    @cached_property
    def stops(self) -> tuple[str, ...]:
        """The declared stop tokens, and those that the template writes behind an answer."""
        return tuple(dict.fromkeys([*self.declared, *template_stops(self.surveyor)]))

    def derive(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Any] | None = None,
        *,
        turns: Collection[int] | None = None,
        variables: Mapping[str, Any] = MappingProxyType({}),
    ) -> Derived:
        """The mask of a conversation.

        Args:
            messages: What was said.
            tools: The tools on offer, as JSON schemas.
            turns: Indices of the assistant turns that carry loss; default all.
            variables: Further variables of the template.

        Raises:
            RenderError: The template rejects the conversation.
            Unfit: The template leaves out what the assistant says, or writes it where it cannot have been said.
            Refused: No mask can be derived and verified.
        """
        said = [index for index, message in enumerate(messages) if message.get("role") == "assistant"]
        wanted = [index for index in said if turns is None or index in turns]
        if not wanted:
            raise Unfit("no assistant turn carries loss", remedy="leave the conversation out")
        layout = self.surveyor.layout(messages, tools, variables)
        check_calls(layout, wanted)
        check_parts(layout)
        prompts = Prompts(self.surveyor, messages, tools, variables)
        offered = tuple(texts_of(tools or ()))
        spans, notes = [], []
        for index in wanted:
            turn = find_turn(layout, index)
            span, found = self._span(layout, turn, prompts)
            check_tools(layout, turn, span, offered)
            spans.append(span)
            notes += found
        layout, spans, notes = self._stopped(layout, spans, notes, prompts)
        check_order(layout.text, spans)
        notes += dropped(layout, spans, wanted)
        sources = tuple((place.start, place.end) for place in layout.places)
        owners = tuple(place.leaf.message for place in layout.places)
        return Derived(layout.text, tuple(spans), tuple(notes), sources, owners)

    def _span(self, layout: Layout, turn: Turn, prompts: Prompts) -> tuple[Span, list[Note]]:
        begun = beginning(layout, turn, prompts)
        start = begun.start
        header = layout.text[turn.start : start]
        end = ending(layout, turn, start, self.stops, header)
        check_span(layout, turn, Span(start, end.end, turn.index), header, self.stops)
        if self.prefill:
            start = turn.start + opened_thought(header)
        notes = []
        if begun.rest.strip():
            notes.append(
                Note("prefill", turn.index, f"the prompt of message {turn.index} goes on with {_short(begun.rest)}")
            )
        if begun.other:
            text = f"the prompt of message {turn.index} ends with {_short(begun.other)}, the conversation does not"
            notes.append(Note("other_prompt", turn.index, text))
        if not end.stop:
            notes.append(Note("no_stop", turn.index, f"message {turn.index} ends without a stop token"))
        return Span(start, end.end, turn.index), notes

    def _stopped(
        self, layout: Layout, spans: list[Span], notes: list[Note], prompts: Prompts
    ) -> tuple[Layout, list[Span], list[Note]]:
        """A stop token behind the last turn, where the template writes none and the model's files name one."""
        last = spans[-1]
        unstopped = any(note.kind == "no_stop" and note.turn == last.turn for note in notes)
        if not (unstopped and self.declared) or layout.text[last.end :].strip():
            return layout, spans, notes
        stop = prompts.stop_behind(layout.text[: last.end], self.declared)
        text = layout.text[: last.end] + stop
        kept = [note for note in notes if not (note.kind == "no_stop" and note.turn == last.turn)]
        added = Note("stop_added", last.turn, f"{stop} is added behind message {last.turn}")
        return replace(layout, text=text), [*spans[:-1], replace(last, end=len(text))], [*kept, added]


def derive(
    template: Template,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Any] | None = None,
    *,
    stops: Sequence[str] = (),
    prefill: bool = False,
    turns: Collection[int] | None = None,
    variables: Mapping[str, Any] = MappingProxyType({}),
) -> Derived:
    """The mask of one conversation; for many, make one `Engine`. See `Engine.derive`."""
    return Engine(template, stops=stops, prefill=prefill).derive(messages, tools, turns=turns, variables=variables)


def _short(text: str) -> str:
    """A text as Python would quote it, its middle left out where it is long."""
    return repr(text if len(text) <= 80 else f"{text[:40]}…{text[-40:]}")
