"""What a training template must do on the probe conversations: the text of each, and the mask that is derived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from trainwright.errors import TrainwrightError
from trainwright_templates.engine.derive import Derived, Engine
from trainwright_templates.generate.frames import Range
from trainwright_templates.render.sandbox import RenderError
from trainwright_templates.render.template import Template
from trainwright_templates.shapes import shapes

VARIED = (
    "single", "multi3_system", "opening_assistant", "consecutive_assistant", "thinking_in_text", "leading_newline",
    "reasoning_history", "reasoning_then_none", "none_then_reasoning", "reasoning_empty", "tool_call", "parallel_calls",
    "two_rounds", "tool_reasoning_then_user",
)  # fmt: skip
"""Conversations that are tried with each value of each variable that a template reads."""
_GIVEN = {"messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token", "unk_token", "pad_token"}


@dataclass(frozen=True)
class Probe:
    """A conversation, and what the original template makes of it.

    Attributes:
        name: Its shape, and the template variable that is set, if one is.
        messages: What was said.
        tools: The tools on offer, as JSON schemas.
        text: What the original template renders; None where it rejects the conversation.
        spans: The supervised characters of `text`; None where none could be derived, so that only the text is compared.
        own: The characters of `text` that a user, a tool or a reply brought.
        why: Why there are no spans.
        variables: Further variables of the template.
    """

    name: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] | None
    text: str | None
    spans: tuple[Range, ...] | None
    own: tuple[Range, ...] = field(default=(), repr=False)
    why: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)


def probes(template: Template, stops: Sequence[str], prefill: bool) -> Iterator[Probe]:
    """Every probe conversation, rejected ones included, and some with each variable that the template reads."""
    engines = [Engine(template, stops=given, prefill=prefill) for given in (stops, ())]
    rows = shapes()
    for name, row in rows.items():
        yield _probe(engines, name, row, {})
    for variable in variables(template):
        for value in (True, False):
            for name in VARIED:
                yield _probe(engines, f"{name} with {variable}={value}", rows[name], {variable: value})


def variables(template: Template) -> list[str]:
    """The variables that a template reads besides those that every conversation gives (`enable_thinking`).

    A name that the template itself sets is one only where it asks whether it is defined: then it sets a default.
    """
    tree = template.tree()
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    asked = {test.node.name for test in tree.find_all(nodes.Test) if isinstance(test.node, nodes.Name)}
    return sorted(find_undeclared_variables(tree) - (own - asked) - _GIVEN - set(template.environment.globals))


def _probe(engines: Sequence[Engine], name: str, row: Mapping[str, Any], given: Mapping[str, Any]) -> Probe:
    messages, tools = row["messages"], row.get("tools")
    try:
        text = engines[0].surveyor.template.render(messages, tools=tools, variables=given)
    except RenderError as error:
        return Probe(name, messages, tools, None, None, why=error.problems[0].message, variables=given)
    try:
        found = _derived(engines, row, text, given)
    except TrainwrightError as error:
        return Probe(name, messages, tools, text, None, why=error.problems[0].message, variables=given)
    spans = tuple((span.start, span.end) for span in found.spans)
    return Probe(name, messages, tools, text, spans, tuple(found.sources), variables=given)


def _derived(engines: Sequence[Engine], row: Mapping[str, Any], text: str, given: Mapping[str, Any]) -> Derived:
    """The mask over the template's own text: without the stop tokens that are added where a template writes none."""
    found = engines[0].derive(row["messages"], row.get("tools"), variables=given)
    return found if found.text == text else engines[1].derive(row["messages"], row.get("tools"), variables=given)
