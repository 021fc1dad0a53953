"""`explain`: for each hook who answers it, from which package, version and file, and why."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.cli.plugins import put_set_aside
from trainwright.cli.prepare import load_plugins, prepare, read, switched_off
from trainwright.cli.quiet import quiet
from trainwright.cli.screen import paint, put_json
from trainwright.errors import UsageError

if TYPE_CHECKING:
    from trainwright.plugins.explain import Explanation, HookExplanation, Participant


def explain(
    config: Path | None,
    overrides: Sequence[str],
    no_plugin: Sequence[str],
    *,
    model: bool = False,
    as_json: bool,
    verbose: bool,
) -> int:
    """Explain the hooks of a config, or of the defaults where there is none; return the exit code.

    A choice that cannot be had is part of the explanation (and makes the exit code 1), not an end of it.
    """
    quiet(verbose)
    explanation = _explained(config, overrides, no_plugin)
    template = _template(config, overrides, no_plugin) if model else {}
    if as_json:
        put_json(explanation.as_dict() | ({"template": template} if template else {}))
    else:
        print("\n\n".join("\n".join(_lines(hook)) for hook in explanation.hooks))
        if template:
            print("\n" + "\n  ".join([f"the model's chat template: {template['source']}", *template["reasons"]]))
        put_set_aside(explanation.set_aside)
    return int(any(hook.problem for hook in explanation.hooks))


def _explained(config: Path | None, overrides: Sequence[str], no_plugin: Sequence[str]) -> Explanation:
    from trainwright.plugins.explain import choices_of

    if config is not None:
        read_config, manager = read(config, overrides, no_plugin)
        choices, places = choices_of(read_config)
        return manager.explain(choices, places)
    from trainwright.config.models import RunConfig

    defaults = {"compute_loss": "loss", "chat_template": "template"}
    return load_plugins(switched_off(no_plugin)).explain(
        {hook: RunConfig.model_fields[key].default.name for hook, key in defaults.items()}
    )


def _template(config: Path | None, overrides: Sequence[str], no_plugin: Sequence[str]) -> dict[str, Any]:
    """How the config's provider resolves the chat template of the config's model."""
    if config is None:
        raise UsageError(
            "`--model` explains the model of a config", remedy="give the config: `explain run.yaml --model`"
        )
    checked, manager = prepare(config, overrides, no_plugin)
    from trainwright.model.load import load_processing
    from trainwright.run.assemble import ask_template

    processing = load_processing(checked.config.model, checked.config)
    answer = ask_template(checked, manager, processing, bool(checked.training.get("assistant_only_loss")))
    return {"source": answer.source, "reasons": list(answer.report.reasons) if answer.report else []}


def _lines(hook: HookExplanation) -> Iterator[str]:
    yield f"{paint(hook.hook, 'bold', sys.stdout)} ({hook.kind})"
    if hook.problem:
        yield "  " + paint("problem: ", "red", sys.stdout) + hook.problem.replace("\n", "\n  ")
    for participant in hook.participants:
        yield from _participant(participant)
    if not hook.participants and not hook.problem:
        yield "  nobody"
    if hook.others:
        yield f"  not chosen: {', '.join(hook.others)}"


def _participant(participant: Participant) -> Iterator[str]:
    record = participant.record
    name = paint(record.name, "green", sys.stdout)
    yield f"  {participant.role}: {name} from {record.distribution} {record.version}, {record.location}"
    yield f"    because: {participant.why}"
