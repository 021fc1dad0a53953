"""The installed response formats, by name."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from trainwright.errors import PluginError

from .format import Format

GROUP = "trainwright_response_formats"


def format_names() -> tuple[str, ...]:
    """The names of all installed formats, from metadata alone."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


@cache
def response_format(name: str) -> Format:
    """The installed format `name`.

    Raises:
        PluginError: None or several distributions provide it, or what they provide is no format.
    """
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        raise PluginError(f"no response format {name!r}", remedy=f"installed: {', '.join(format_names()) or 'none'}")
    if len({entry.value for entry in found}) > 1:
        owners = ", ".join(sorted(_owner(entry) for entry in found))
        raise PluginError(f"several distributions provide the response format {name!r}", remedy=f"keep one of {owners}")
    try:
        loaded = found[0].load()
    except Exception as error:
        raise PluginError(
            f"the response format {name!r} of {_owner(found[0])} cannot be loaded: {error}", remedy="mend or remove it"
        ) from error
    if not isinstance(loaded, Format):
        raise PluginError(
            f"{found[0].value} of {_owner(found[0])} is no response format", remedy="it needs `name` and `scan`"
        )
    return loaded


def installed_formats() -> tuple[Format, ...]:
    """Every installed format that loads, in order of name.

    Raises:
        PluginError: One does not load.
    """
    return tuple(response_format(name) for name in format_names())


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
