"""Who provides a name, or precisely why nobody does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from trainwright.errors import PluginError
from trainwright.hooks import HOOKS
from trainwright.plugins.names import did_you_mean, listed
from trainwright.plugins.records import PluginRecord

_WORST_LAST = ("broken", "incompatible", "disabled")


def look_up(records: Sequence[PluginRecord], hook: str, name: str, where: str = "") -> PluginRecord:
    """The active plugin `name` that implements `hook`.

    Args:
        records: The records, loaded.
        hook: One of `hooks.HOOKS`.
        name: What the config says.
        where: The place in the config, for the error.

    Raises:
        PluginError: It is not installed, provides another hook, only wraps this one, or is disabled, broken or
            incompatible; the message says which, why, and what to do.
        ValueError: `hook` is no hook.
    """
    if hook not in HOOKS:
        raise ValueError(f"unknown hook {hook!r}{did_you_mean(hook, HOOKS)}")
    named = [record for record in records if record.name == name]
    for record in named:
        if record.state == "active" and hook in record.answers:
            return record
    aside = sorted(
        (record for record in named if record.state != "active"), key=lambda record: _WORST_LAST.index(record.state)
    )
    if aside:
        _refuse_set_aside(aside[0], where)
    _refuse_unknown(records, named, hook, name, where)


def _refuse_set_aside(record: PluginRecord, where: str) -> NoReturn:
    raise PluginError(f"plugin {record.label} is {record.state}: {record.reason}", where=where, remedy=record.remedy)


def _refuse_unknown(
    records: Sequence[PluginRecord], named: list[PluginRecord], hook: str, name: str, where: str
) -> NoReturn:
    choices = sorted(record.name for record in records if record.state == "active" and hook in record.answers)
    remedy = f"plugins that implement {hook}: {listed(choices)}"
    if named:
        only = "only wraps" if hook in named[0].wraps else f"provides {listed(named[0].provides)}, not"
        raise PluginError(f"plugin {named[0].label} {only} {hook}", where=where, remedy=remedy)
    declared = (record.name for record in records if hook in record.provides)
    raise PluginError(
        f"no plugin {name!r} is installed{did_you_mean(name, declared)}",
        where=where,
        remedy=f"{remedy}; or install the package that brings it (pip install trainwright-{name.replace('_', '-')}?)",
    )
