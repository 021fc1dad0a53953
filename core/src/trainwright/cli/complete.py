"""What the shell completes: names of plugins, from metadata alone."""

from __future__ import annotations


def plugin_names(incomplete: str) -> list[str]:
    """The names of installed plugins that begin with what is typed."""
    from trainwright.plugins.manager import PluginManager

    return sorted({record.name for record in PluginManager.discover().records if record.name.startswith(incomplete)})
