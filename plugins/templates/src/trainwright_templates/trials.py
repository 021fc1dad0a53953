"""Short conversations of the usual kinds, tried on a template before a run begins with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainwright.errors import ModelError, TrainwrightError
from trainwright_templates.engine import Engine, Unfit
from trainwright_templates.render import RenderError, Template
from trainwright_templates.shapes import shapes

TRIED = ("single", "system", "multi2", "tool_call", "reasoning", "text_parts")
"""Names of the conversations, in `shapes`."""


@dataclass(frozen=True)
class Trial:
    """What came of one conversation.

    Attributes:
        name: Its name.
        why: Why it has no mask; empty where it has a verified one.
        unclear: Whether that is because no mask could be verified, not because the template does not take it.
    """

    name: str
    why: str = ""
    unclear: bool = False


def try_out(template: Template, stops: Sequence[str], prefill: bool) -> tuple[Trial, ...]:
    """Derive the masks of `TRIED`.

    Args:
        template: The template.
        stops: Texts of the tokens that end a turn.
        prefill: Whether prefilled thoughts carry loss.

    Raises:
        ModelError: One has no verified mask although the template takes it and writes all of it; or none has a mask.
    """
    made = tuple(_trials(Engine(template, stops=stops, prefill=prefill)))
    unclear = [trial for trial in made if trial.unclear]
    if unclear or all(trial.why for trial in made):
        count = sum(not trial.why for trial in made)
        raise ModelError(
            f"masks of the model's chat template cannot be verified: of {len(made)} probe conversations {count} have "
            f"one{_listed(unclear or made)}{'' if count else _shown(template)}",
            remedy="give another template: `template: {name: file, path: my_template.jinja}`",
        )
    return made


def _trials(engine: Engine) -> Iterator[Trial]:
    rows = shapes()
    for name in TRIED:
        try:
            engine.derive(rows[name]["messages"], rows[name].get("tools"))
        except TrainwrightError as error:
            yield Trial(name, error.problems[0].message, unclear=not isinstance(error, (RenderError, Unfit)))
        else:
            yield Trial(name)


def _listed(trials: Sequence[Trial]) -> str:
    return "".join(f"\n    {trial.name}: {trial.why}" for trial in trials)


def _shown(template: Template) -> str:
    """How the template renders the shortest conversation, for a person to see what it does."""
    try:
        return f"\n    {TRIED[0]} is rendered as {template.render(shapes()[TRIED[0]]['messages'])[:400]!r}"
    except RenderError:
        return ""
