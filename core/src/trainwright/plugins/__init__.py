"""The plugin manager: find what is installed, check it, load it, call it, and say who did what and why.

Finding reads package metadata only; nothing of a plugin is imported before `PluginManager.load`.
"""

from trainwright.plugins.answers import Answer
from trainwright.plugins.manager import PluginManager
from trainwright.plugins.records import PluginRecord

__all__ = ["Answer", "PluginManager", "PluginRecord"]
