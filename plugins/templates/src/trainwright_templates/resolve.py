"""What masks a model's template: a family's entry, a generated training template, run time, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainwright.errors import ConfigError, ModelError, Problem, TrainwrightError
from trainwright_templates.engine import Engine
from trainwright_templates.families import Family, families, recognise
from trainwright_templates.generate import training_template
from trainwright_templates.parse import Format, pick_format, response_format
from trainwright_templates.render import RenderError, Template
from trainwright_templates.shapes import shapes

TRIED = ("single", "system", "multi2", "tool_call", "reasoning", "text_parts")
"""Probe conversations of which at least one must have a mask."""


@dataclass(frozen=True)
class Resolution:
    """What was found out about a template.

    Attributes:
        step: `family NAME`, `generated` or `derived`.
        reasons: How it came to that, one sentence each.
        family: The family that the template belongs to, if any.
        stops: Texts of the tokens that end a turn.
        training: The template with generation markers; None where there is none.
        format: How its models write responses; None where no format fits.
    """

    step: str
    reasons: tuple[str, ...]
    family: Family | None
    stops: tuple[str, ...]
    training: str | None
    format: Format | None


def resolve(template: Template, settings: Any, stops: Sequence[str]) -> Resolution:
    """Resolve a template.

    Args:
        template: The model's own.
        settings: `derived.Settings`.
        stops: Texts of the tokens that end a turn, as the model's files name them.

    Raises:
        ModelError: No probe conversation has a mask; with the reason, and what is rendered.
        ConfigError: The settings name a family or a format that is not installed.
    """
    family = _family(template, settings.family)
    ends = tuple(dict.fromkeys([*settings.stop, *stops, *(family.stops if family else ())]))
    _require_mask(template, ends, settings.prefill)
    reasons = [f"family: {family.name} ({family.models})" if family else "family: none is recognised"]
    reasons += [f"  {quirk}" for quirk in family.quirks] if family else []
    training = None
    if settings.generate:
        made = training_template(template, stops=ends, prefill=settings.prefill, kept=settings.cache)
        training = made.text or None
        reasons.append(f"training template: {made.reason}")
    else:
        reasons.append("training template: `generate` is off")
    reasons.append("masks: derived from each conversation's rendering, and verified")
    step = f"family {family.name}" if family else "generated" if training else "derived"
    return Resolution(step, tuple(reasons), family, ends, training, _format(template, settings.response, family, ends))


def _family(template: Template, name: str | None) -> Family | None:
    if name is None:
        return recognise(template.source)
    if name not in families():
        raise ConfigError(
            [Problem(f"no family of chat templates {name!r}", "template.family", f"installed: {', '.join(families())}")]
        )
    return families()[name]


def _require_mask(template: Template, stops: Sequence[str], prefill: bool) -> None:
    engine, why = Engine(template, stops=stops, prefill=prefill), ""
    rows = shapes()
    for name in TRIED:
        try:
            engine.derive(rows[name]["messages"], rows[name].get("tools"))
        except TrainwrightError as error:
            why = why or error.problems[0].message
        else:
            return
    raise ModelError(
        f"no mask can be derived from the model's chat template: {why}{_shown(template, rows['single'])}",
        remedy="give another template: `template: {name: file, path: my_template.jinja}`",
    )


def _shown(template: Template, row: Mapping[str, Any]) -> str:
    """How the template renders one short conversation, for a person to see what it does."""
    try:
        return f"\n    it renders: {template.render(row['messages'])[:400]!r}"
    except RenderError:
        return ""


def _format(template: Template, name: str | None, family: Family | None, stops: Sequence[str]) -> Format | None:
    if name is not None:
        return response_format(name)
    if family is not None and family.response is not None:
        return response_format(family.response)
    return pick_format(template.render, stops=stops)
