"""The plugin manager: records of what is installed, slots looked up by name, broadcasts in a stated order."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from typing import Any

import pluggy

from trainwright.errors import PluginError, Problem
from trainwright.hooks import BROADCASTS, SLOTS
from trainwright.plugins.answers import Answer, failure, settled
from trainwright.plugins.discover import find_plugins
from trainwright.plugins.explain import Choices, Explanation, explain
from trainwright.plugins.load import load_plugin
from trainwright.plugins.lookup import look_up
from trainwright.plugins.parts import Pluggy
from trainwright.plugins.records import PluginRecord
from trainwright.plugins.switches import apply_switches, disabled_by


@dataclass(frozen=True)
class Fingerprint:
    """The active plugins, for comparison between ranks and between runs.

    Attributes:
        plugins: (name, distribution, version) of each, sorted by (distribution, name).
        sha256: A hash of that list, 64 hexadecimal digits.
    """

    plugins: tuple[tuple[str, str, str], ...]
    sha256: str


class PluginManager:
    """What is installed, and how to call it. Make one with `PluginManager.discover`.

    Args:
        records: The plugins found, sorted by (distribution, name).
    """

    def __init__(self, records: Sequence[PluginRecord]) -> None:
        self._records = tuple(records)
        self._pluggy: Pluggy | None = None

    @classmethod
    def discover(
        cls,
        disable: Iterable[str] | Mapping[str, str] = (),
        pin: Mapping[str, str] | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        distributions: Iterable[Distribution] | None = None,
    ) -> PluginManager:
        """Find the installed plugins from metadata; nothing of them is imported.

        Args:
            disable: Names of plugins not to load; as a mapping, name → the switch that says so (`--no-plugin`).
            pin: Plugin name → the distribution that provides it, where two do.
            environ: Where `TRAINWRIGHT_DISABLE_PLUGINS` is read from.
            distributions: The installed distributions; default: those on `sys.path`.

        Raises:
            ConfigError: Names in `disable`, the variable or `pin` that are not installed.
        """
        installed = importlib.metadata.distributions() if distributions is None else distributions
        return cls(apply_switches(find_plugins(installed), disabled_by(disable, environ), pin or {}))

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """Every plugin found, whatever its state, sorted by (distribution, name)."""
        return self._records

    @property
    def active(self) -> tuple[PluginRecord, ...]:
        """The plugins that take part."""
        return tuple(record for record in self._records if record.state == "active")

    def load(self) -> PluginManager:
        """Import and check every active plugin, once; what fails becomes `broken`. Returns the manager itself."""
        self._calls()
        return self

    def _calls(self) -> Pluggy:
        if self._pluggy is None:
            self._records = tuple(
                load_plugin(record) if record.state == "active" else record for record in self._records
            )
            self._pluggy = Pluggy()
            # pluggy calls what was registered last first, and of wrappers the first called is the outermost.
            for record in reversed(self.active):
                for role, part in zip(("provider", "wrapper"), record.parts or (), strict=False):
                    self._pluggy.register(part, _registered(record, role))
        return self._pluggy

    def _alone(self, hook: str, record: PluginRecord) -> pluggy.HookCaller:
        """The caller of one plugin's implementation of a hook, inside the wrappers of all."""
        others = [other.parts[0] for other in self.active if other.parts and other.key != record.key]
        return self._calls().subset_hook_caller(hook, others)

    def provider(self, hook: str, name: str, where: str = "") -> PluginRecord:
        """The active plugin `name` that implements `hook`, a slot's or a broadcast's.

        Args:
            hook: One of `hooks.HOOKS`.
            name: What the config says.
            where: The place in the config, for the error.

        Raises:
            PluginError: There is none; the message says why (see `trainwright.plugins.lookup`).
        """
        return look_up(self.load().records, hook, name, where)

    def wrappers(self, hook: str) -> list[PluginRecord]:
        """The active plugins that wrap a slot, outermost first."""
        by_name = {_registered(record, "wrapper"): record for record in self.load().active}
        implementations = reversed(self._calls().subset_hook_caller(hook, ()).get_hookimpls())
        return [by_name[each.plugin_name] for each in implementations if each.wrapper or each.hookwrapper]

    def slot(self, hook: str, name: str, where: str = "") -> Callable[..., Any]:
        """A slot bound to its provider: it calls that plugin alone, inside the wrappers of every active plugin.

        Args:
            hook: One of `hooks.SLOTS`.
            name: What the config says.
            where: The place in the config, for the error.

        Returns:
            A callable that takes the hook's arguments as keywords. What the plugin raises passes through, with a note
            of who was called; it raises `PluginError` where the plugin answers None.

        Raises:
            PluginError: There is no such provider.
        """
        if hook not in SLOTS:
            raise ValueError(f"{hook!r} is no slot")
        record = self.provider(hook, name, where)
        caller = self._alone(hook, record)
        who = " inside ".join(["plugin " + record.label, *(each.label for each in reversed(self.wrappers(hook)))])

        def call(**arguments: Any) -> Any:
            try:
                answer = caller(**arguments)
            except Exception as error:
                error.add_note(f"raised in {hook} of {who}")
                raise
            if answer is None:
                raise PluginError(f"{hook} of {who} returned nothing", where=where)
            return answer

        return call

    def broadcast(self, hook: str, only: Sequence[str] | None = None, **arguments: Any) -> list[Answer]:
        """Ask plugins one after another; one that fails does not keep the others from answering.

        Args:
            hook: One of `hooks.BROADCASTS`.
            only: Names of the plugins to ask, in this order; default: every active one that implements the hook, by
                (distribution, name).
            **arguments: The hook's arguments.

        Returns:
            One answer a plugin, in that order. An iterator is read to its end, so that what it raises is caught here.

        Raises:
            PluginError: `only` names a plugin that cannot be asked.
        """
        if hook not in BROADCASTS:
            raise ValueError(f"{hook!r} is no broadcast")
        if only is not None:
            asked = [self.provider(hook, name) for name in only]
        else:
            asked = [record for record in self.load().active if hook in record.answers]
        return [self._ask(hook, record, arguments) for record in asked]

    def _ask(self, hook: str, record: PluginRecord, arguments: Mapping[str, Any]) -> Answer:
        try:
            return Answer(record, settled(hook, record, self._alone(hook, record)(**arguments)))
        except Exception as error:
            return Answer(record, error=failure(hook, record, error))

    def explain(self, choices: Choices, places: Mapping[str, str] | None = None) -> Explanation:
        """Who takes part in each hook and why, and which plugins are set aside and why.

        Args:
            choices: Hook → the name, or for `metrics` the names, that the config chooses (`choices_of(config)`).
            places: Hook → where the config says so; a hook without a place was chosen by default.
        """
        return explain(self, choices, places or {})

    def fingerprint(self) -> Fingerprint:
        """The active plugins and a hash of them, equal wherever the same versions load."""
        plugins = tuple((record.name, record.distribution, record.version) for record in self.load().active)
        return Fingerprint(plugins, hashlib.sha256(json.dumps(plugins).encode()).hexdigest())

    def warnings(self) -> list[Problem]:
        """The plugins that are broken or incompatible; a run that does not refer to them goes on without them."""
        return [
            Problem(f"plugin {record.label} is set aside as {record.state}: {record.reason}", remedy=record.remedy)
            for record in self._records
            if record.state in ("broken", "incompatible")
        ]


def _registered(record: PluginRecord, role: str) -> str:
    return f"{record.distribution}:{record.name}:{role}"
