"""What the run decides of the plugins found: which are switched off, and who provides a name that two bring."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from trainwright.errors import ConfigError, Problem
from trainwright.plugins.names import did_you_mean, listed
from trainwright.plugins.records import PluginRecord

VARIABLE = "TRAINWRIGHT_DISABLE_PLUGINS"
"""Environment variable: names of plugins to disable, with commas between; `*` for all that are not core's own."""
EVERY = "*"


def disabled_by(disable: Iterable[str] | Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Name → which switch disables it. A mapping tells the switch itself, e.g. `{"mfu": "--no-plugin"}`."""
    named = (name.strip() for name in environ.get(VARIABLE, "").split(","))
    given = dict(disable) if isinstance(disable, Mapping) else dict.fromkeys(disable, "plugins.disable or --no-plugin")
    return dict.fromkeys(filter(None, named), VARIABLE) | given


def apply_switches(
    records: Sequence[PluginRecord], disabled: Mapping[str, str], pin: Mapping[str, str]
) -> list[PluginRecord]:
    """Disable what is to be disabled, choose what is pinned, and set aside names that two distributions still share.

    Args:
        records: What was found.
        disabled: Plugin name (or `*`) → the switch that disables it.
        pin: Plugin name → the distribution that provides it.

    Raises:
        ConfigError: Every name in `disabled` and `pin` that is not installed, with the closest that is.
    """
    problems = [*_unknown_names(records, disabled), *_unknown_pins(records, pin)]
    if problems:
        raise ConfigError(problems)
    switched = [_pinned(_switched(record, disabled), pin) for record in records]
    return _without_duplicates(switched)


def _unknown_names(records: Sequence[PluginRecord], disabled: Mapping[str, str]) -> list[Problem]:
    known = sorted({record.name for record in records})
    return [
        Problem(f"there is no plugin {name!r} to disable{did_you_mean(name, known)}", switch, _installed(known))
        for name, switch in disabled.items()
        if name not in known and name != EVERY
    ]


def _unknown_pins(records: Sequence[PluginRecord], pin: Mapping[str, str]) -> list[Problem]:
    known = sorted({record.name for record in records})
    problems = []
    for name, distribution in pin.items():
        owners = [record.distribution for record in records if record.name == name]
        where = f"plugins.pin.{name}"
        if not owners:
            message = f"there is no plugin {name!r} to pin{did_you_mean(name, known)}"
            problems.append(Problem(message, where, _installed(known)))
        elif canonicalize_name(distribution) not in map(canonicalize_name, owners):
            message = f"{distribution} brings no plugin {name!r}{did_you_mean(distribution, owners)}"
            problems.append(Problem(message, where, f"pin one of those that do: {listed(owners)}"))
    return problems


def _installed(known: list[str]) -> str:
    return f"installed plugins: {listed(known)}"


def _switched(record: PluginRecord, disabled: Mapping[str, str]) -> PluginRecord:
    switch = disabled.get(record.name) or ("" if record.built_in else disabled.get(EVERY))
    if not switch:
        return record
    own = ", though it is part of trainwright itself" if record.built_in else ""
    remedy = f"take {record.name if record.name in disabled else EVERY!r} out of {switch}"
    return replace(record, state="disabled", reason=f"disabled by {switch}{own}", remedy=remedy)


def _pinned(record: PluginRecord, pin: Mapping[str, str]) -> PluginRecord:
    chosen = pin.get(record.name)
    if chosen is None or record.state == "disabled" or canonicalize_name(chosen) == record.key[0]:
        return record
    reason = f"plugins.pin has {chosen} provide {record.name!r}"
    return replace(record, state="disabled", reason=reason, remedy=f"plugins.pin.{record.name}: {record.distribution}")


def _without_duplicates(records: list[PluginRecord]) -> list[PluginRecord]:
    rivals: defaultdict[str, list[PluginRecord]] = defaultdict(list)
    for record in records:
        if record.state == "active":
            rivals[record.name].append(record)
    return [
        _ambiguous(record, rivals[record.name]) if record.state == "active" and len(rivals[record.name]) > 1 else record
        for record in records
    ]


def _ambiguous(record: PluginRecord, rivals: list[PluginRecord]) -> PluginRecord:
    owners = [f"{rival.distribution} {rival.version}" for rival in rivals]
    reason = f"{len(owners)} installed distributions bring a plugin {record.name!r}: {listed(owners)}"
    pin = f"plugins: {{pin: {{{record.name}: {rivals[0].distribution}}}}}"
    remedy = f"choose one in the config, e.g. {pin}, or uninstall one"
    return replace(record, state="broken", reason=reason, remedy=remedy)
