"""What is known of a model's template: by a family's entry, by a training template, by its renderings; or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainwright.errors import ConfigError, Problem
from trainwright_templates.families import Family, families, recognise
from trainwright_templates.generate import training_template
from trainwright_templates.parse import Format, pick_format, response_format
from trainwright_templates.render import Template
from trainwright_templates.trials import try_out


@dataclass(frozen=True)
class Resolution:
    """What was found out about a template.

    Attributes:
        step: The first that knows the template: `family NAME`, `generated` (it has a training template) or `derived`
            (its renderings alone). Masks are derived and verified for each conversation at every step.
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
        ModelError: A mask of a probe conversation cannot be verified, or none has one; with what is rendered.
        ConfigError: The settings name a family or a format that is not installed.
    """
    family = _family(template, settings.family)
    ends = tuple(dict.fromkeys([*settings.stop, *stops, *(family.stops if family else ())]))
    tried = try_out(template, ends, settings.prefill)
    reasons = [f"family: {family.name} ({family.models})" if family else "family: none is recognised"]
    reasons += [f"  {quirk}" for quirk in family.quirks] if family else []
    reasons.append(f"probe conversations with a mask: {', '.join(trial.name for trial in tried if not trial.why)}")
    reasons += [f"  {trial.name} has none: {trial.why}" for trial in tried if trial.why]
    training = None
    if settings.generate:
        made = training_template(template, stops=ends, prefill=settings.prefill, kept=settings.cache)
        training = made.text or None
        reasons.append(f"training template: {made.reason}")
    else:
        reasons.append("training template: `generate` is off")
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


def _format(template: Template, name: str | None, family: Family | None, stops: Sequence[str]) -> Format | None:
    """The named one, else that which reads what the template writes, else the family's own."""
    if name is not None:
        return response_format(name)
    picked = pick_format(template.render, stops=stops)
    if picked is None and family is not None and family.response is not None:
        return response_format(family.response)
    return picked
