"""`plugins`: what is installed, in which state, and why some of it is set aside."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainwright.cli.prepare import find_plugins, load_plugins, switched_off
from trainwright.cli.screen import paint, put_json, put_table

if TYPE_CHECKING:
    from trainwright.plugins.records import PluginRecord

_COLUMNS = ("name", "distribution", "version", "state", "provides")
_FIELDS = (*_COLUMNS, "value", "reason", "remedy")


def list_plugins(no_plugin: Sequence[str], *, as_json: bool) -> None:
    """Print every installed plugin, from metadata alone: no plugin is imported, so a broken import is not seen here."""
    records = find_plugins(switched_off(no_plugin)).records
    if as_json:
        put_json([{field: getattr(record, field) for field in _FIELDS} for record in records])
        return
    put_table(
        _COLUMNS,
        [(r.name, r.distribution, r.version, r.state, ", ".join(r.provides)) for r in records],
    )
    put_set_aside(records)


def put_set_aside(records: Sequence[PluginRecord]) -> None:
    """Print which plugins take no part, why, and what to do about it; nothing where all are active."""
    aside = [record for record in records if record.state != "active"]
    if not aside:
        return
    print(f"\n{paint('set aside', 'bold', sys.stdout)}")
    for record in aside:
        print(f"  {record.label} is {paint(record.state, 'yellow', sys.stdout)}: {record.reason}")
        if record.remedy:
            print(f"    → {record.remedy}")
        if record.traceback:
            print(f"    → trainwright plugins --traceback {record.name}")


def show_traceback(name: str, no_plugin: Sequence[str]) -> None:
    """Load the plugins and print what the import of one of them raised.

    Raises:
        UsageError: When no plugin of that name is installed.
    """
    from trainwright.errors import UsageError
    from trainwright.plugins.names import did_you_mean, listed

    records = load_plugins(switched_off(no_plugin)).records
    named = [record for record in records if record.name == name]
    if not named:
        known = sorted({record.name for record in records})
        raise UsageError(
            f"there is no plugin {name!r}{did_you_mean(name, known)}",
            where="--traceback",
            remedy=f"installed plugins: {listed(known)}",
        )
    for record in named:
        why = f": {record.reason}" if record.reason else ""
        print(f"{record.label} is {record.state}{why}")
        print(record.traceback or "It raised nothing when it was imported.")
