"""`validate`: every problem of a config, or what a run of it would do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainwright.cli.prepare import prepare
from trainwright.cli.quiet import quiet
from trainwright.cli.screen import paint
from trainwright.config.models import LossTerm

if TYPE_CHECKING:
    from trainwright.config.check import CheckedConfig
    from trainwright.config.models import DataSource, ModelSection, PluginChoice, RunConfig
    from trainwright.plugins.manager import PluginManager


def validate(config: Path, overrides: Sequence[str], no_plugin: Sequence[str], *, verbose: bool) -> None:
    """Check a config and print what a run of it would do.

    Raises:
        ConfigError: With every problem found.
    """
    quiet(verbose)
    checked, manager = prepare(config, overrides, no_plugin)
    print(f"{config} is {paint('fine', 'green', sys.stdout)}. A run of it:")
    lines = dict(_plan(checked, manager))
    width = max(map(len, lines))
    for name, text in lines.items():
        print(f"  {name:<{width}}  {text}")


def _plan(checked: CheckedConfig, manager: PluginManager) -> Iterator[tuple[str, str]]:
    config, method = checked.config, checked.method
    yield "method", f"{method.name} ({method.module}.{method.trainer})"
    yield from _models(config)
    yield from _data(config)
    yield "loss", " + ".join(_loss(manager, choice) for choice in config.losses.values())
    yield "template", _provider(manager, "chat_template", config.template)
    if config.env is not None:
        yield "env", _provider(manager, "build_env", config.env)
    if config.rewards:
        yield "rewards", ", ".join(config.rewards)
    if config.metrics:
        yield "metrics", ", ".join(_provider(manager, "metrics", choice) for choice in config.metrics)
    yield "output", str(config.output)


def _models(config: RunConfig) -> Iterator[tuple[str, str]]:
    yield "model", _model(config.model)
    if (lora := config.lora) is not None:
        kind = "DoRA" if lora.dora else "LoRA"
        on = f" on {lora.quantize} weights" if lora.quantize else ""
        targets = lora.target_modules if isinstance(lora.target_modules, str) else ", ".join(lora.target_modules)
        yield "adapter", f"{kind} of rank {lora.r}{on}, {targets}"
    for role, section in (("reference", config.reference), ("teacher", config.teacher)):
        if section is not None:
            yield role, _model(section)


def _model(section: ModelSection) -> str:
    revision = f"@{section.revision}" if section.revision else ""
    return f"{section.path}{revision}, {section.dtype}"


def _data(config: RunConfig) -> Iterator[tuple[str, str]]:
    if config.data is not None:
        yield "train", _source(config.data.train, config) + _labels(config, "data.train")
        if config.data.eval is not None:
            yield "eval", _source(config.data.eval, config) + _labels(config, "data.eval")
    if config.answers is not None:
        yield "answers", _source(config.answers.data, config)


def _source(source: DataSource, config: RunConfig) -> str:
    from trainwright.data.sources import is_local, local_files
    from trainwright.run.files import human

    limit = f", the first {source.limit} rows" if source.limit else ""
    if not is_local(source, config):
        return f"{source.path} from the hub{limit}"
    files = local_files(source, config)
    named = str(files[0]) if len(files) == 1 else f"{len(files)} files"
    return f"{named}, {human(sum(file.stat().st_size for file in files))}{limit}"


def _labels(config: RunConfig, key: str) -> str:
    labels = config.labels(key)
    return f", {labels}" if labels else ""


def _loss(manager: PluginManager, choice: PluginChoice) -> str:
    weight = f"{choice.weight:g} × " if isinstance(choice, LossTerm) else ""
    return weight + _provider(manager, "compute_loss", choice)


def _provider(manager: PluginManager, hook: str, choice: PluginChoice) -> str:
    record = manager.provider(hook, choice.name)
    return f"{record.name} ({record.distribution} {record.version})"
