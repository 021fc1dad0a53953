"""The plugins that a config chooses: does each exist, serve the method, and take the settings given?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from trainwright.config.findings import findings
from trainwright.config.models import NATIVE, LossTerm, PluginChoice
from trainwright.config.report import Report
from trainwright.errors import PluginError
from trainwright.hooks import PluginSettings
from trainwright.trainer.methods import Method

if TYPE_CHECKING:
    from trainwright.plugins.manager import PluginManager
    from trainwright.plugins.records import PluginRecord


def check_losses(report: Report, manager: PluginManager, method: Method) -> tuple[Any, ...]:
    """The checked settings of each loss of `loss:`; None where there is a problem."""
    losses = report.config.losses
    records = {key: _provider(report, manager, "compute_loss", choice, key) for key, choice in losses.items()}
    if isinstance(report.config.loss, list):
        _check_mix(report, report.config.loss, method)
    for key, record in records.items():
        if record is not None and not _fits(record, method):
            _refuse_misfit(report, manager, key, record, method)
    if report.config.reference is not None and all(record and record.reference_free for record in records.values()):
        names = " + ".join(choice.name for choice in losses.values())
        report.add("reference", f"the loss `{names}` does not read `reference:`", "Remove it.")
    return tuple(
        None if record is None else _settings(report, record, losses[key], key) for key, record in records.items()
    )


def _check_mix(report: Report, terms: list[LossTerm], method: Method) -> None:
    """What a list of losses may not hold: TRL's own, and one loss twice."""
    seen: set[str] = set()
    for index, term in enumerate(terms):
        if term.name == NATIVE:
            message = f"`{NATIVE}` cannot be mixed: TRL divides its loss by itself, once for each micro-batch"
            mixed = " with `training.loss_type: […]` and `loss_weights`" if method.name == "dpo" else ""
            report.add(f"loss.{index}", message, f"Mix plugins' losses, or write `loss: {NATIVE}`{mixed}.")
        elif term.name in seen:
            report.add(f"loss.{index}", f"the loss `{term.name}` is named twice", "Keep one, with the sum of weights.")
        seen.add(term.name)


def _fits(record: PluginRecord, method: Method) -> bool:
    return record.serves(method.name) and (record.name == NATIVE or bool(method.units))


def _refuse_misfit(report: Report, manager: PluginManager, key: str, record: PluginRecord, method: Method) -> None:
    losses = [other for other in manager.active if "compute_loss" in other.answers]
    fitting = ", ".join(other.name for other in losses if _fits(other, method)) or "none"
    served = f"It serves {', '.join(sorted(record.methods))}. " if record.methods else ""
    message = f"loss `{record.name}` does not serve method `{method.name}`"
    report.add(key, message, f"{served}Losses for `{method.name}`: {fitting}.")


def check_choice(report: Report, manager: PluginManager, hook: str, choice: PluginChoice | None, key: str) -> Any:
    """The checked settings of the plugin chosen under `key`; None where there is a problem or no choice."""
    if choice is None:
        return None
    record = _provider(report, manager, hook, choice, key)
    return None if record is None else _settings(report, record, choice, key)


def check_metrics(report: Report, manager: PluginManager) -> dict[str, Any]:
    """Plugin name → checked settings, for each of `metrics:`."""
    settings: dict[str, Any] = {}
    for index, choice in enumerate(report.config.metrics):
        key = f"metrics.{index}"
        if choice.name in settings:
            report.add(key, f"metrics plugin `{choice.name}` is named twice", "Keep one of them.")
        settings[choice.name] = check_choice(report, manager, "metrics", choice, key)
    return settings


def _provider(report: Report, manager: PluginManager, hook: str, choice: PluginChoice, key: str) -> PluginRecord | None:
    try:
        return manager.provider(hook, choice.name, report.config.where(key))
    except PluginError as error:
        report.extend(key, error.problems)
        return None


def _settings(report: Report, record: PluginRecord, choice: PluginChoice, key: str) -> Any:
    if record.settings_model is None:
        for name in choice.settings:
            report.add(f"{key}.{name}", f"unknown key `{name}`", f"Plugin `{record.name}` takes no settings.")
        return PluginSettings()
    try:
        return record.settings_model.model_validate(choice.settings)
    except ValidationError as error:
        report.add_findings(findings(error, record.settings_model, key))
        return None
