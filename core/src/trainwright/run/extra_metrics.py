"""What the plugins that `metrics:` names add to each log event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trainwright.errors import PluginError
from trainwright.hooks import LogStep
from trainwright.run.records import OWN_KEYS, written_name

if TYPE_CHECKING:
    from trainwright.plugins.manager import PluginManager


def metrics_caller(manager: PluginManager, settings: Mapping[str, Any]) -> Callable[[LogStep], Mapping[str, float]]:
    """A function that asks the config's metrics plugins, in its order.

    Raises (when called):
        PluginError: A plugin failed, or a number has the name, in `metrics.jsonl`, of one that is there already.
    """

    def ask(step: LogStep) -> Mapping[str, float]:
        origin = dict.fromkeys((*OWN_KEYS, *map(written_name, step.logs)), "the trainer")
        numbers: dict[str, float] = {}
        for name, own in settings.items():
            for answer in manager.broadcast("metrics", only=[name], step=replace(step, settings=own)):
                for key, value in (answer.value or {}).items():
                    written = written_name(key)
                    if written in origin:
                        raise PluginError(
                            f"the metric {written!r} comes from {name!r} and from {origin[written]!r}",
                            where="metrics",
                            remedy="take one of them out of `metrics:`",
                        )
                    origin[written], numbers[key] = name, float(value)
        return numbers

    return ask
