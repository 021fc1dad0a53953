"""Read a config: YAML and overrides into a `RunConfig`, with the line of every key, and every problem at once."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainwright.config.findings import Finding, findings, without
from trainwright.config.models import RunConfig, place_of
from trainwright.config.overrides import apply_overrides
from trainwright.config.source import Source, read_file
from trainwright.config.words import nearest
from trainwright.errors import ConfigError, Problem
from trainwright.trainer.methods import METHODS

_STAND_INS: dict[str, Any] = {"model": {"path": "stand-in/model"}, "output": "stand-in"}


@dataclass(frozen=True)
class Draft:
    """A config as far as it can be read.

    Attributes:
        config: The config without its broken keys; None where nothing can be made of it.
        problems: What is wrong so far.
        broken: The dotted keys that `config` lacks, or has a stand-in for: what is said of them would mislead.
    """

    config: RunConfig | None
    problems: tuple[Problem, ...] = ()
    broken: frozenset[str] = field(default_factory=frozenset)

    def settled(self) -> RunConfig:
        """The config.

        Raises:
            ConfigError: Where there are problems.
        """
        if self.config is None or self.problems:
            raise ConfigError(self.problems)
        return self.config


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a config file and overrides.

    Args:
        path: The YAML file; None for overrides alone.
        overrides: `key.sub=value`, applied in order; the value is YAML, and `key=` is null.

    Returns:
        The config. `training:` and the settings of plugins are not checked yet: see `config.check.check_config`.

    Raises:
        ConfigError: With every problem found.
        UsageError: Where an override is not of the form `key=value`.
    """
    return draft_config(path, overrides).settled()


def load_dict(values: Mapping[str, Any], *, folder: Path | None = None) -> RunConfig:
    """The config that nested mappings describe; `folder` is what relative paths are relative to.

    Raises:
        ConfigError: With every problem found.
    """
    return _draft(Source(copy.deepcopy(dict(values))), folder or Path.cwd()).settled()


def draft_config(path: Path | None, overrides: Sequence[str] = ()) -> Draft:
    """Read a config as far as it can be read, so that a later check can add its problems to those found here.

    Raises:
        ConfigError: Where the file holds no YAML mapping.
        UsageError: Where an override is not of the form `key=value`.
    """
    source = read_file(path) if path else Source({})
    apply_overrides(source, overrides)
    return _draft(source, path.resolve().parent if path else Path.cwd())


def _draft(source: Source, folder: Path) -> Draft:
    config, found = _validated(source.values)
    problems = [*source.problems, *_problems(found, source)]
    broken = {finding.key for finding in found}
    values = source.values
    for _ in range(4):  # leaving out one key can uncover that another is missing
        if config is not None:
            break
        values = _mended(values, found)
        config, found = _validated(values)
        broken |= {finding.key for finding in found}
    if config is not None:
        config._places, config._folder = source.places, folder
    return Draft(config, tuple(problems), frozenset(broken))


def _validated(values: Mapping[str, Any]) -> tuple[RunConfig | None, list[Finding]]:
    try:
        return RunConfig.model_validate(values), []
    except ValidationError as error:
        return None, findings(error, RunConfig)


def _mended(values: Mapping[str, Any], found: Iterable[Finding]) -> dict[str, Any]:
    """The values without what is wrong; a stand-in for what must be there."""
    lacking = [finding.key for finding in found if finding.kind == "missing"]
    parents = [key.rpartition(".")[0] for key in lacking if "." in key]
    mended = without(values, [*parents, *(finding.key for finding in found)])
    return {**{key: value for key, value in _STAND_INS.items() if key not in mended}, **mended}


def _problems(found: Iterable[Finding], source: Source) -> list[Problem]:
    from trainwright.config.homes import with_home

    method = str(source.values.get("method", "sft"))
    problems = []
    for finding in found:
        finding = with_home(finding, method)
        remedy = finding.remedy
        if finding.key == "method" and not remedy and (near := nearest(method, METHODS)):
            remedy = f"Did you mean `{near}`?"
        problems.append(Problem(finding.message, place_of(source.places, finding.key), remedy))
    return problems
