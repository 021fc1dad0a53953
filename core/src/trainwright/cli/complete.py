"""What the shell completes: names of plugins, from metadata alone."""

from __future__ import annotations


def plugin_names(incomplete: str) -> list[str]:
    """The names of installed plugins that begin with what is typed; none where the plugins cannot be read."""
    from trainwright.errors import TrainwrightError
    from trainwright.plugins.manager import PluginManager

    try:
        records = PluginManager.discover().records
    except TrainwrightError:  # a wrong switch in the environment: the verb reports it, a half-typed line does not
        return []
    return sorted({record.name for record in records if record.name.startswith(incomplete)})
