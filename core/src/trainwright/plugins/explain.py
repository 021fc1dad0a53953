"""Who takes part in each hook of a run, from which package, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from trainwright.errors import PluginError
from trainwright.hooks import HOOKS, SLOTS
from trainwright.plugins.records import PluginRecord

if TYPE_CHECKING:
    from trainwright.config import RunConfig
    from trainwright.plugins.manager import PluginManager

CONFIG_KEYS = {"compute_loss": "loss", "build_env": "env", "chat_template": "template", "metrics": "metrics"}
"""Hook → the config key that chooses its provider or participants; `validate_config` asks everybody."""

Role = Literal["provider", "wrapper", "participant"]


@dataclass(frozen=True)
class Participant:
    """One plugin's part in one hook.

    Attributes:
        record: Who.
        role: `provider` of a slot, `wrapper` around it, or `participant` in a broadcast.
        why: What gave it the part.
    """

    record: PluginRecord
    role: Role
    why: str


@dataclass(frozen=True)
class HookExplanation:
    """One hook of a run.

    Attributes:
        hook: Its name.
        kind: `slot` or `broadcast`.
        participants: Who takes part, in the order of being called: wrappers outermost first, then the provider.
        others: Names of active plugins that implement it and were not chosen.
        problem: Why the choice cannot be had; empty where it can.
    """

    hook: str
    kind: str
    participants: tuple[Participant, ...]
    others: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class Explanation:
    """Every hook of a run, and the plugins that take no part in any."""

    hooks: tuple[HookExplanation, ...]
    set_aside: tuple[PluginRecord, ...]

    def as_dict(self) -> dict[str, Any]:
        """The explanation as plain JSON values, for `explain --json` and the manifest."""
        return {
            "hooks": {
                each.hook: {
                    "kind": each.kind,
                    "participants": [
                        _row(part.record) | {"role": part.role, "why": part.why} for part in each.participants
                    ],
                    "others": list(each.others),
                    "problem": each.problem,
                }
                for each in self.hooks
            },
            "set_aside": [_row(record) | {"state": record.state, "why": record.reason} for record in self.set_aside],
        }


def _row(record: PluginRecord) -> dict[str, str]:
    return {key: getattr(record, key) for key in ("name", "distribution", "version", "location")}


Choices = Mapping[str, str | Sequence[str] | Mapping[str, float]]
"""Hook → the name, the names, or for losses that are mixed name → weight."""


def choices_of(config: RunConfig) -> tuple[dict[str, str | list[str] | dict[str, float]], dict[str, str]]:
    """What a config chooses for each hook, and where: (hook → what `Choices` says, hook → `file:line: key`)."""
    loss = config.loss
    choices: dict[str, str | list[str] | dict[str, float]] = {
        "compute_loss": {term.name: term.weight for term in loss} if isinstance(loss, list) else loss.name,
        "chat_template": config.template.name,
        "metrics": [choice.name for choice in config.metrics],
    }
    if config.env is not None:
        choices["build_env"] = config.env.name
    places = {hook: config.where(key) for hook, key in CONFIG_KEYS.items() if key in config.model_fields_set}
    return choices, places


def explain(manager: PluginManager, choices: Choices, places: Mapping[str, str]) -> Explanation:
    """See `PluginManager.explain`."""
    manager.load()
    return Explanation(
        hooks=tuple(_explain_hook(manager, hook, choices.get(hook, ()), places.get(hook, "")) for hook in HOOKS),
        set_aside=tuple(record for record in manager.records if record.state != "active"),
    )


def _explain_hook(
    manager: PluginManager, hook: str, choice: str | Sequence[str] | Mapping[str, float], place: str
) -> HookExplanation:
    kind = "slot" if hook in SLOTS else "broadcast"
    able = [record for record in manager.records if record.state == "active" and hook in record.answers]
    if hook not in CONFIG_KEYS:
        everybody = tuple(Participant(record, "participant", "every active plugin is asked") for record in able)
        return HookExplanation(hook, kind, everybody, ())
    names = [choice] if isinstance(choice, str) else list(choice)
    why = f"chosen by {place}" if place else f"the default of {CONFIG_KEYS[hook]}"
    others = tuple(record.name for record in able if record.name not in names)
    try:
        chosen = [manager.provider(hook, name, place) for name in names]
    except PluginError as error:
        return HookExplanation(hook, kind, (), others, problem=str(error))
    role: Role = "provider" if kind == "slot" else "participant"
    around = manager.wrappers(hook) if chosen else []
    wrappers = tuple(Participant(record, "wrapper", "an active wrapper runs around any provider") for record in around)
    weights = choice if isinstance(choice, Mapping) else {}
    reasons = [f"{why}, with weight {weights[name]:g}" if name in weights else why for name in names]
    asked = tuple(Participant(record, role, reason) for record, reason in zip(chosen, reasons, strict=True))
    return HookExplanation(hook, kind, wrappers + asked, others)
