"""What a training template must do on the probe conversations: the text of each, and the mask that is derived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainwright.errors import TrainwrightError
from trainwright_templates.engine.derive import Derived, Engine
from trainwright_templates.generate.frames import Range
from trainwright_templates.render.sandbox import RenderError
from trainwright_templates.render.template import Template
from trainwright_templates.shapes import shapes


@dataclass(frozen=True)
class Probe:
    """A conversation that the original template renders.

    Attributes:
        name: Its shape.
        messages: What was said.
        tools: The tools on offer, as JSON schemas.
        text: What the original template renders.
        spans: The supervised characters of `text`; None where none could be derived, so that only the text is compared.
        own: The characters of `text` that a user, a tool or a reply brought.
        why: Why there are no spans.
    """

    name: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] | None
    text: str
    spans: tuple[Range, ...] | None
    own: tuple[Range, ...] = field(default=(), repr=False)
    why: str = ""


def probes(template: Template, stops: Sequence[str], prefill: bool) -> Iterator[Probe]:
    """Every probe conversation that the template renders, with its mask where one can be derived."""
    engines = [Engine(template, stops=given, prefill=prefill) for given in (stops, ())]
    for name, row in shapes().items():
        messages, tools = row["messages"], row.get("tools")
        try:
            text = template.render(messages, tools=tools)
        except RenderError:
            continue
        try:
            found = _derived(engines, messages, tools, text)
        except TrainwrightError as error:
            yield Probe(name, messages, tools, text, None, why=error.problems[0].message)
            continue
        yield Probe(name, messages, tools, text, tuple((s.start, s.end) for s in found.spans), tuple(found.sources))


def _derived(engines: Sequence[Engine], messages: Any, tools: Any, text: str) -> Derived:
    """The mask over the template's own text: without the stop tokens that are added where a template writes none."""
    found = engines[0].derive(messages, tools)
    return found if found.text == text else engines[1].derive(messages, tools)
