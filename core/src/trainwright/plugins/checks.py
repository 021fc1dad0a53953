"""What may be wrong with a plugin's object, beyond that its import raises. Each check yields one phrase a fault."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

import pluggy

from trainwright.hooks import API_VERSION, BROADCASTS, HOOKS, PROJECT, SLOTS, PluginSettings
from trainwright.plugins.names import did_you_mean, listed
from trainwright.plugins.parts import Implementation, Part, Pluggy
from trainwright.plugins.records import PluginRecord, in_hook_order
from trainwright.trainer.methods import METHODS


def faults(record: PluginRecord, plugin: object, implementations: Sequence[Implementation]) -> list[str]:
    """Everything that is wrong with a plugin's object.

    Args:
        record: The plugin, with what its metadata declares.
        plugin: Its module or object.
        implementations: The marked functions of that object.
    """
    if inspect.isclass(plugin):
        return [f"{record.value} is a class: make an instance in its module, and name that in the entry point"]
    return [
        *_names(implementations),
        *_declarations(record, plugin, {each.hook for each in implementations}.intersection(HOOKS)),
        *_arguments(implementations),
        *_settings(getattr(plugin, "Settings", None), "compute_loss" in record.provides),
        *_methods(getattr(plugin, "methods", None)),
        *_reference_free(getattr(plugin, "reference_free", False)),
    ]


def _names(implementations: Sequence[Implementation]) -> Iterator[str]:
    providers: dict[str, str] = {}
    for each in implementations:
        if each.hook not in HOOKS:
            if not each.options["optionalhook"]:
                yield f"{each.attribute}() implements the unknown hook {each.hook!r}{did_you_mean(each.hook, HOOKS)}"
        elif each.wrapper:
            if each.hook in BROADCASTS:
                yield f"{each.attribute}() wraps {each.hook}, but only slots can be wrapped"
        elif each.hook in providers:
            yield f"{providers[each.hook]}() and {each.attribute}() both implement {each.hook}"
        else:
            providers[each.hook] = each.attribute
            yield from _provider(each)


def _provider(each: Implementation) -> Iterator[str]:
    if each.options["tryfirst"] or each.options["trylast"]:
        yield f"{each.attribute}() says tryfirst or trylast, which only a wrapper can"
    if inspect.iscoroutinefunction(each.function):
        yield f"{each.attribute}() is async, but hooks are plain functions"
    if each.hook in SLOTS and inspect.isgeneratorfunction(each.function):
        yield f"{each.attribute}() yields without being marked @hookimpl(wrapper=True)"


def _declarations(record: PluginRecord, plugin: object, implemented: set[str]) -> Iterator[str]:
    declared = set(record.provides)
    for hook in in_hook_order(declared - implemented):
        bare = callable(getattr(plugin, hook, None))
        fault = f"its {hook}() is not marked with @hookimpl" if bare else f"it has no {hook}()"
        yield f"its metadata declares {hook}, but {fault}"
    for hook in in_hook_order(implemented - declared):
        group = f'[project.entry-points."{PROJECT}.v{API_VERSION}.{hook}"]'
        yield f"it implements {hook}, which its metadata does not declare under {group}"


def _arguments(implementations: Sequence[Implementation]) -> Iterator[str]:
    """What pluggy rejects, asked of a manager that is thrown away: a rejected plugin leaves nothing behind."""
    for each in implementations:
        try:
            Pluggy().register(Part([each]))
        except pluggy.PluginValidationError as error:
            *_, definition, complaint = str(error).splitlines()
            yield f"{definition.removeprefix('hookimpl definition: ')}: {complaint}"


def _settings(settings: object, is_loss: bool) -> Iterator[str]:
    if settings is None:
        return
    if not (inspect.isclass(settings) and issubclass(settings, PluginSettings)):
        yield "its Settings is no subclass of trainwright.PluginSettings"
    elif "name" in settings.model_fields:
        yield "its Settings has a field 'name', which a config needs for the plugin's own name"
    elif is_loss and "weight" in settings.model_fields:
        yield "its Settings has a field 'weight', which a config needs for losses that are mixed"


def _methods(methods: object) -> Iterator[str]:
    if methods is None:
        return
    if not isinstance(methods, frozenset | set | list | tuple):
        yield 'its methods is no set of names such as frozenset({"dpo"})'
        return
    for method in methods:
        if method not in METHODS:
            guess = did_you_mean(str(method), METHODS)
            yield f"its methods names the unknown method {method!r}{guess} (known: {listed(METHODS)})"


def _reference_free(value: object) -> Iterator[str]:
    if not isinstance(value, bool):
        yield "its reference_free is neither True nor False"
