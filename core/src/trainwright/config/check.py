"""A config against everything that is installed: plugins, TRL's fields, the method's needs, local data. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainwright.config.choices import check_choice, check_losses, check_metrics
from trainwright.config.load import Draft
from trainwright.config.models import DataSource, RunConfig
from trainwright.config.needs import check_needs, check_together
from trainwright.config.paths import check_models, check_rewards, check_training_files, training_values
from trainwright.config.reference_model import check_reference_fields
from trainwright.config.report import Report
from trainwright.config.training import check_training, deprecations
from trainwright.errors import ConfigError, Problem, TrainwrightError
from trainwright.trainer.methods import METHODS, Method

if TYPE_CHECKING:
    from trainwright.plugins.manager import PluginManager

_ANSWER_COLUMNS = (("messages",), ("conversations",), ("prompt", "completion"))


@dataclass(frozen=True)
class CheckedConfig:
    """A config that was checked, with the settings of its plugins as their own models.

    Attributes:
        config: The config.
        method: Its training method.
        training: The values for TRL's config class.
        losses: The settings of each loss, in the order of the config.
        template: The template plugin's settings.
        env: The environment plugin's settings; None where there is no `env:`.
        metrics: Metrics plugin → its settings, in the order of the config.
        notices: What does not stop a run: fields that TRL calls deprecated, and plugins' warnings.
    """

    config: RunConfig
    method: Method
    training: Mapping[str, Any]
    losses: tuple[Any, ...]
    template: Any
    env: Any
    metrics: Mapping[str, Any]
    notices: tuple[Problem, ...] = ()


def check_config(config: RunConfig, manager: PluginManager, draft: Draft | None = None) -> CheckedConfig:
    """Check a config.

    Args:
        config: The config.
        manager: The plugins, found and loaded.
        draft: What reading the config found already (`load.draft_config`): its problems are reported with those found
            here, and its broken keys are not spoken of again.

    Raises:
        ConfigError: With every problem found.
    """
    report = Report(config, draft.problems if draft else (), draft.broken if draft else ())
    method = METHODS[config.method]
    losses = check_losses(report, manager, method)
    template = check_choice(report, manager, "chat_template", config.template, "template")
    env = check_choice(report, manager, "build_env", config.env, "env")
    metrics = check_metrics(report, manager)
    if not report.is_broken("method"):
        _check_training(report)
        check_needs(report, method)
        check_reference_fields(report, manager, method)
        _check_data(report, method)
    check_together(report)
    check_training_files(report)
    check_models(report)
    check_rewards(report)
    said = () if draft and draft.problems else _plugins_problems(config, manager)
    report.problems += [problem for problem in said if problem.fatal]
    if report.problems:
        raise ConfigError(report.problems)
    deprecated = [
        Problem(finding.message, config.where(finding.key), finding.remedy)
        for finding in deprecations(config.method, config.training)
    ]
    notices = (*deprecated, *(problem for problem in said if not problem.fatal))
    return CheckedConfig(config, method, training_values(config), losses, template, env, metrics, notices)


def check_again(checked: CheckedConfig, manager: PluginManager) -> list[Problem]:
    """Ask the plugins' rules once more, when the data have been loaded.

    Returns:
        Warnings that were not given before.

    Raises:
        ConfigError: With the problems that stop the run.
    """
    said = [problem for problem in _plugins_problems(checked.config, manager) if problem not in checked.notices]
    if fatal := [problem for problem in said if problem.fatal]:
        raise ConfigError(fatal)
    return said


def _check_training(report: Report) -> None:
    config = report.config
    try:
        loss = " + ".join(choice.name for choice in config.losses.values())
        report.add_findings(check_training(config.method, config.training, loss))
    except TrainwrightError as error:
        report.extend("training", error.problems)


def _check_data(report: Report, method: Method) -> None:
    from trainwright.data.check import check_source

    config = report.config
    if config.data is not None:
        sources: dict[str, DataSource | None] = {"data.train": config.data.train, "data.eval": config.data.eval}
        for key, source in sources.items():
            if source is not None:
                report.extend(key, check_source(source, config, method, key))
    if config.answers is not None:
        answered = dataclasses.replace(METHODS["sft"], columns=_ANSWER_COLUMNS)
        report.extend("answers.data", check_source(config.answers.data, config, answered, "answers.data"))


def _plugins_problems(config: RunConfig, manager: PluginManager) -> list[Problem]:
    """The broadcast `validate_config`; a plugin that fails is itself a problem."""
    problems: list[Problem] = []
    for answer in manager.broadcast("validate_config", config=config):
        problems += answer.error.problems if answer.error else answer.value
    return problems
