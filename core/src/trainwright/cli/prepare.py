"""From a config file to a checked config and loaded plugins: what every verb that takes a CONFIG does first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainwright.cli.screen import warn

if TYPE_CHECKING:
    from trainwright.config.check import CheckedConfig
    from trainwright.config.models import RunConfig
    from trainwright.plugins.manager import PluginManager


def switched_off(no_plugin: Sequence[str]) -> dict[str, str]:
    """Plugin name → the switch that disables it, for the names given by `--no-plugin`."""
    return dict.fromkeys(no_plugin, "--no-plugin")


def find_plugins(disable: Mapping[str, str], pin: Mapping[str, str] | None = None) -> PluginManager:
    """What is installed, from metadata; nothing of a plugin is imported."""
    from trainwright.plugins.manager import PluginManager

    return PluginManager.discover(disable=disable, pin=pin)


def load_plugins(disable: Mapping[str, str], pin: Mapping[str, str] | None = None) -> PluginManager:
    """What is installed, loaded; broken plugins are set aside, not raised."""
    return find_plugins(disable, pin).load()


def read(path: Path, overrides: Sequence[str], no_plugin: Sequence[str]) -> tuple[RunConfig, PluginManager]:
    """Read a config and load the plugins that it leaves in.

    Args:
        path: The YAML file.
        overrides: `key.sub=value`, each replacing a key of the file.
        no_plugin: Plugins to leave out besides those of `plugins.disable`.

    Raises:
        ConfigError: When the file cannot be read, or is no config, or disables or pins what is not installed.
    """
    from trainwright.config.load import load_config

    return _with_plugins(load_config(path, overrides), no_plugin)


def prepare(path: Path, overrides: Sequence[str], no_plugin: Sequence[str]) -> tuple[CheckedConfig, PluginManager]:
    """Read a config, load the plugins, check the one against the other, and warn of what is set aside or going away.

    Raises:
        ConfigError: With every problem found, those of the file and those of the check together.
    """
    from trainwright.config.check import check_config
    from trainwright.config.load import draft_config
    from trainwright.errors import ConfigError
    from trainwright.run.files import main_process

    draft = draft_config(path, overrides)
    if draft.config is None:
        raise ConfigError(draft.problems)
    try:
        config, manager = _with_plugins(draft.config, no_plugin)
    except ConfigError as error:
        raise ConfigError([*draft.problems, *error.problems]) from error
    checked = check_config(config, manager, draft)
    if main_process():
        for warning in (*manager.warnings(), *checked.notices):
            warn(str(warning))
    return checked, manager


def _with_plugins(config: RunConfig, no_plugin: Sequence[str]) -> tuple[RunConfig, PluginManager]:
    """Load plugins; `--no-plugin` goes into the config, so that the run records it and `resume` does the same."""
    own = dict.fromkeys(config.plugins.disable, config.where("plugins.disable"))
    manager = load_plugins(switched_off(no_plugin) | own, config.plugins.pin)
    disable = list(dict.fromkeys([*config.plugins.disable, *no_plugin]))
    return config.model_copy(update={"plugins": config.plugins.model_copy(update={"disable": disable})}), manager
