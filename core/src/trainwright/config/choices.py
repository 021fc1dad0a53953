"""The plugins that a config chooses: does each exist, serve the method, and take the settings given?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from trainwright.config.findings import findings
from trainwright.config.models import PluginChoice
from trainwright.config.report import Report
from trainwright.errors import PluginError
from trainwright.hooks import PluginSettings
from trainwright.trainer.methods import Method

if TYPE_CHECKING:
    from trainwright.plugins.manager import PluginManager
    from trainwright.plugins.records import PluginRecord


def check_loss(report: Report, manager: PluginManager, method: Method) -> Any:
    """The checked settings of `loss:`; None where there is a problem."""
    choice = report.config.loss
    record = _provider(report, manager, "compute_loss", choice, "loss")
    if record is None:
        return None
    if not record.serves(method.name) or (not method.units and choice.name != "trl"):
        fitting = [other.name for other in manager.active if _fits(other, method)]
        served = f"It serves {', '.join(sorted(record.methods))}. " if record.methods else ""
        message = f"loss `{choice.name}` does not serve method `{method.name}`"
        report.add("loss", message, f"{served}Losses for `{method.name}`: {', '.join(fitting) or 'none'}.")
    if record.reference_free and report.config.reference is not None:
        report.add("reference", f"the loss `{choice.name}` does not read `reference:`", "Remove it.")
    return _settings(report, record, choice, "loss")


def _fits(record: PluginRecord, method: Method) -> bool:
    is_loss = "compute_loss" in record.answers and record.serves(method.name)
    return is_loss and (record.name == "trl" or bool(method.units))


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
