"""Where a misplaced key belongs: `learning_rate` at the top level under `training:`, `lora` under that at the top."""

from __future__ import annotations

from dataclasses import replace

from trainwright.config.fields import trl_fields
from trainwright.config.findings import Finding, models_in
from trainwright.config.models import RunConfig
from trainwright.config.training import SET_ELSEWHERE
from trainwright.errors import TrainwrightError
from trainwright.trainer.methods import METHODS


def with_home(finding: Finding, method: str) -> Finding:
    """The finding, its remedy replaced where an unknown key is a known one in the wrong place."""
    if finding.kind != "unknown":
        return finding
    section, _, name = finding.key.rpartition(".")
    home = home_of(name, section, method)
    return replace(finding, remedy=f"`{name}` belongs {home}.") if home else finding


def home_of(name: str, section: str, method: str) -> str | None:
    """Where a key that `section` does not know is known, or None.

    Args:
        name: The key, without its section.
        section: The dotted section that it stands in; empty for the top level.
        method: The training method that the config names.
    """
    if (section, name) == ("loss", "weight"):
        return "to each of several losses: `loss: [{name: …, weight: …}, …]`"
    if section and name in RunConfig.model_fields:
        return "at the top level, not in a section"
    if section != "training" and name in SET_ELSEWHERE:
        return f"elsewhere: {SET_ELSEWHERE[name]}"
    if section != "training" and name in _training_names(method):
        return "under `training:`"
    homes = [other for other, names in _sections().items() if other != section and name in names]
    return f"under `{homes[0]}:`" if len(homes) == 1 else None


def _training_names(method: str) -> set[str]:
    try:
        return set(trl_fields(method if method in METHODS else "sft"))
    except TrainwrightError:  # without TRL there is no such hint; the check of `training:` itself says what is missing
        return set()


def _sections() -> dict[str, set[str]]:
    return {
        name: {key for model in models_in(field.annotation) for key in model.model_fields}
        for name, field in RunConfig.model_fields.items()
    }
