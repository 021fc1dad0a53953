"""The hook functions of a plugin's object, and the form in which pluggy holds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy

from trainwright import hooks
from trainwright.hooks import PROJECT


@dataclass(frozen=True)
class Implementation:
    """One function marked with `@hookimpl`.

    Attributes:
        attribute: Its name in the plugin's object.
        hook: The hook it means: `specname` where given, else its own name.
        function: The function, bound.
        options: What `@hookimpl` was given.
    """

    attribute: str
    hook: str
    function: Callable[..., Any]
    options: pluggy.HookimplOpts

    @property
    def wrapper(self) -> bool:
        """Whether it wraps the hook."""
        return self.options["wrapper"] or self.options["hookwrapper"]


def implementations_of(plugin: object) -> list[Implementation]:
    """The marked functions of a module or object, sorted by attribute; may raise whatever its attributes raise."""
    reader = pluggy.PluginManager(PROJECT)
    found = []
    for attribute in dir(plugin):
        options = reader.parse_hookimpl_opts(plugin, attribute)
        if options is not None:
            hook = options["specname"] or attribute
            found.append(Implementation(attribute, hook, getattr(plugin, attribute), options))
    return found


class Part:
    """Marked functions under their own names, as one object that pluggy can register.

    A plugin becomes two, its implementations and its wrappers: pluggy leaves out whole objects, and a slot must leave
    out the other providers while their wrappers still run. So one module can also stand under several names, and any
    object can be a plugin, hashable or not.

    Args:
        implementations: What it holds; all wrappers, or none.
    """

    def __init__(self, implementations: Sequence[Implementation]) -> None:
        self.options = {each.attribute: each.options for each in implementations}
        for each in implementations:
            setattr(self, each.attribute, each.function)


class Pluggy(pluggy.PluginManager):
    """pluggy's manager for `Part`s; it knows the five hooks."""

    def __init__(self) -> None:
        super().__init__(PROJECT)
        self.add_hookspecs(hooks)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        """The options that the function was marked with, which binding it may hide from pluggy."""
        return plugin.options.get(name) if isinstance(plugin, Part) else None
