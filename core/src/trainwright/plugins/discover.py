"""Find the installed plugins from package metadata. Nothing of a plugin is imported here.

An entry-point group names an API version and a hook (`trainwright.v1.compute_loss`); an entry point in it names a
plugin and where its object lies. A plugin is one (distribution, name): its groups together say what it provides.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import Distribution, EntryPoint

from trainwright.hooks import API_VERSION, HOOKS, PROJECT
from trainwright.plugins.names import did_you_mean
from trainwright.plugins.records import PluginRecord, in_hook_order
from trainwright.plugins.requirements import unmet_requirements

_GROUP = re.compile(rf"{PROJECT}\.v(\d+)\.(\w+)")
_VALUE = re.compile(r"[\w.]+(\s*:\s*[\w.]+)?\s*(\[.*\])?")


def find_plugins(distributions: Iterable[Distribution]) -> list[PluginRecord]:
    """Every plugin that installed metadata declares, sorted by (distribution, name).

    States are `active`, `broken` or `incompatible`; what depends on the run (switches, pins, two plugins of one name)
    is settled by `trainwright.plugins.switches`.
    """
    found: dict[str, list[PluginRecord]] = {}
    for distribution in distributions:
        if f"[{PROJECT}." not in (distribution.read_text("entry_points.txt") or ""):
            continue
        whose = _whose(distribution)
        # A distribution found twice is shadowed the way its modules are: the first on the path counts.
        if whose.key[0] not in found:
            found[whose.key[0]] = list(_plugins_of(distribution, whose))
    return sorted((record for records in found.values() for record in records), key=lambda record: record.key)


def _whose(distribution: Distribution) -> PluginRecord:
    """A record that knows its distribution only."""
    location = str(distribution.locate_file(""))
    try:
        name, version = distribution.name, distribution.version
    except Exception:  # what an unreadable METADATA raises differs between versions of Python
        name = version = ""
    if name and version:
        return PluginRecord(name=name, distribution=name, version=version, value="", location=location)
    unknown = PluginRecord(
        name="unnamed", distribution=f"unnamed in {location}", version="?", value="", location=location
    )
    reason = "its distribution has no METADATA with a name and a version, as after an interrupted pip install"
    return replace(unknown, state="broken", reason=reason, remedy=f"remove its *.dist-info from {location}")


def _plugins_of(distribution: Distribution, whose: PluginRecord) -> Iterator[PluginRecord]:
    declared: defaultdict[str, list[EntryPoint]] = defaultdict(list)
    try:
        for entry in distribution.entry_points:
            if entry.group.startswith(f"{PROJECT}."):
                declared[entry.name].append(entry)
    except Exception as error:  # the standard library lets whatever its parser meets through
        yield _broken(whose, f"its entry_points.txt cannot be read ({error})")
        return
    unmet = unmet_requirements(distribution) if whose.state == "active" else []
    for name, entries in declared.items():
        record = replace(whose, name=name, value=entries[0].value)
        yield _judge(record, entries, unmet) if whose.state == "active" else record


def _judge(record: PluginRecord, entries: list[EntryPoint], unmet: list[str]) -> PluginRecord:
    groups = {entry.group: _GROUP.fullmatch(entry.group) for entry in entries}
    record = replace(record, provides=in_hook_order({match[2] for match in groups.values() if match}))
    if wrong := [group for group, match in groups.items() if match is None]:
        form = f"{PROJECT}.v{API_VERSION}.<hook>"
        return _broken(record, f"its entry-point group {wrong[0]!r} is not of the form {form!r}")
    versions = {int(match[1]) for match in groups.values() if match}
    if API_VERSION not in versions:
        return _other_api(record, max(versions))
    # A plugin may serve several API versions at once; only the groups of this one count.
    entries = [entry for entry in entries if entry.group.startswith(f"{PROJECT}.v{API_VERSION}.")]
    hooks = {entry.group.rpartition(".")[2] for entry in entries}
    record = replace(record, provides=in_hook_order(hooks), value=entries[0].value)
    if unknown := sorted(hooks.difference(HOOKS)):
        guess = did_you_mean(unknown[0], HOOKS)
        return _broken(record, f"its metadata declares the unknown hook {unknown[0]!r}{guess}")
    values = sorted({entry.value for entry in entries})
    if len(values) > 1:
        return _broken(record, f"its metadata gives one name to several objects: {', '.join(values)}")
    if not _VALUE.fullmatch(record.value):
        return _broken(record, f"its entry point {record.value!r} is neither 'module' nor 'module:object'")
    return _unmet(record, unmet) if unmet else record


def _broken(record: PluginRecord, reason: str) -> PluginRecord:
    remedy = f"correct the entry points in the pyproject.toml of {record.distribution} and install it again"
    return replace(record, state="broken", reason=reason, remedy=remedy)


def _other_api(record: PluginRecord, version: int) -> PluginRecord:
    old = version < API_VERSION
    reason = (
        f"it is written for plugin API {version}, too {'old' if old else 'new'} for this trainwright ({API_VERSION})"
    )
    remedy = f"pip install --upgrade {record.distribution if old else PROJECT}"
    return replace(record, state="incompatible", reason=reason, remedy=remedy)


def _unmet(record: PluginRecord, unmet: list[str]) -> PluginRecord:
    reason = f"{record.distribution} requires {', '.join(unmet)}"
    remedy = f"pip install --upgrade {record.distribution}, and see what pip says of the conflict"
    return replace(record, state="incompatible", reason=reason, remedy=remedy)
