"""Load one plugin inside a guard: whatever it does wrong ends as a broken record, never as an exception here."""

from __future__ import annotations

import importlib
import sys
import traceback
from dataclasses import replace
from importlib.metadata import EntryPoint

from trainwright.hooks import HOOKS
from trainwright.plugins.checks import faults
from trainwright.plugins.parts import Part, implementations_of
from trainwright.plugins.records import PluginRecord, in_hook_order

_LOADERS = (__file__, importlib.__file__, EntryPoint.load.__code__.co_filename)


def load_plugin(record: PluginRecord) -> PluginRecord:
    """Import a plugin and check it; the record comes back loaded, or broken with its reason.

    Raises:
        KeyboardInterrupt: Ctrl-C during the import; all else, `SystemExit` included, is the plugin's failure.
    """
    try:
        return _checked(record, EntryPoint(record.name, record.value, "").load())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return replace(
            record,
            state="broken",
            reason=f"loading {record.value} raised {type(error).__name__}: {error}",
            remedy=f"mend or upgrade {record.distribution}; see `trainwright plugins --traceback {record.name}`",
            traceback=_traceback(error),
        )


def _traceback(error: BaseException) -> str:
    """The traceback without the frames of the import system and of this module."""
    summary = traceback.TracebackException.from_exception(error)
    for frame in list(summary.stack):
        if frame.filename.startswith("<frozen importlib") or frame.filename in _LOADERS:
            summary.stack.remove(frame)
    return "".join(summary.format())


def _checked(record: PluginRecord, plugin: object) -> PluginRecord:
    implementations = implementations_of(plugin)
    known = [each for each in implementations if each.hook in HOOKS]
    answering, wrapping = ([each for each in known if each.wrapper is wraps] for wraps in (False, True))
    record = replace(
        record,
        location=getattr(sys.modules.get(record.module), "__file__", None) or record.location,
        answers=in_hook_order({each.hook for each in answering}),
        wraps=in_hook_order({each.hook for each in wrapping}),
    )
    if wrong := faults(record, plugin, implementations):
        remedy = f"mend {record.location}, or upgrade {record.distribution}"
        return replace(record, state="broken", reason="; ".join(wrong), remedy=remedy)
    methods = getattr(plugin, "methods", None)
    return replace(
        record,
        loaded=True,
        settings_model=getattr(plugin, "Settings", None),
        methods=None if methods is None else frozenset(methods),
        reference_free=getattr(plugin, "reference_free", False),
        parts=(Part(answering), Part(wrapping)),
    )
