"""Trainwright: the plugin layer for LLM post-training. `from trainwright import hookimpl, PluginSettings` is all that a
plugin needs; everything heavy is imported where it is used."""

from trainwright.errors import ConfigError, Problem, TrainwrightError
from trainwright.hooks import API_VERSION, PluginSettings, hookimpl

__version__ = "0.1.0"
__all__ = ["API_VERSION", "ConfigError", "PluginSettings", "Problem", "TrainwrightError", "__version__", "hookimpl"]
