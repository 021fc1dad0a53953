"""Trainwright: the plugin layer for LLM post-training. `from trainwright import hookimpl, PluginSettings` is all that a
plugin needs; everything heavy is imported where it is used, and these names when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainwright.errors import ConfigError, Problem, TrainwrightError
    from trainwright.hooks import API_VERSION, PluginSettings, hookimpl

__version__ = "0.1.0"
__all__ = ["API_VERSION", "ConfigError", "PluginSettings", "Problem", "TrainwrightError", "__version__", "hookimpl"]

_HOMES = {
    "ConfigError": "trainwright.errors",
    "Problem": "trainwright.errors",
    "TrainwrightError": "trainwright.errors",
    "API_VERSION": "trainwright.hooks",
    "PluginSettings": "trainwright.hooks",
    "hookimpl": "trainwright.hooks",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `trainwright --help` needs neither pydantic nor pluggy."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
