"""`manifest.json`: everything that a run's result depends on, written when it starts, compared when it is resumed."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.config.resolved import resolved_values
from trainwright.config.secrets import redact
from trainwright.errors import RunError
from trainwright.plugins.explain import choices_of
from trainwright.run.files import write_json
from trainwright.run.machine import git_state, hardware, package_versions
from trainwright.run.scrub import scrub

if TYPE_CHECKING:
    from trainwright.config import RunConfig
    from trainwright.plugins.manager import PluginManager

FORMAT = 1
Manifest = dict[str, Any]


def build_manifest(
    config: RunConfig,
    *,
    hooks: Mapping[str, Any],
    template: str | None = None,
    data: Mapping[str, Any] | None = None,
    seeds: Mapping[str, Any] | None = None,
) -> Manifest:
    """What a run depends on, as plain JSON values; secrets are left out, environment variables are never read into it.

    Args:
        config: The config.
        hooks: Who takes part in each hook: `Explanation.as_dict()["hooks"]`.
        template: Hash of what turned conversations into tokens.
        data: Split → fingerprint of its data.
        seeds: Name → seed.
    """
    values = redact(resolved_values(config), mask=None)
    return {
        "format": FORMAT,
        "started": timestamp(),
        "command": command(),
        "working_folder": str(Path.cwd()),
        "config": values,
        "config_sha256": hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest(),
        "packages": package_versions(taking_part(hooks)),
        "hooks": dict(hooks),
        "template": template,
        "data": dict(data or {}),
        "seeds": dict(seeds or {}),
        "hardware": hardware(),
        "git": git_state(Path.cwd()),
    }


def known_early(config: RunConfig, manager: PluginManager) -> Manifest:
    """The part of a manifest that is known before any data or model is loaded: `config`, `packages`, `hooks`."""
    hooks = manager.explain(*choices_of(config)).as_dict()["hooks"]
    return {
        "config": redact(resolved_values(config), mask=None),
        "packages": package_versions(taking_part(hooks)),
        "hooks": hooks,
    }


def taking_part(hooks: Mapping[str, Any]) -> set[str]:
    """The distributions that a run depends on; those that only check its config change nothing in it."""
    answering = (explained for hook, explained in hooks.items() if hook != "validate_config")
    return {row["distribution"] for explained in answering for row in explained.get("participants", ())}


def command() -> list[str]:
    """The command line of this process, without secrets."""
    return [scrub(part) for part in sys.argv]


def timestamp() -> str:
    """Now, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, whole or not at all."""
    write_json(path, manifest)


def read_manifest(path: Path) -> Manifest:
    """Read `manifest.json`.

    Raises:
        RunError: It cannot be read, or was written by a later version.
    """
    try:
        manifest: Manifest = json.loads(path.read_text(encoding="utf-8"))
        written = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"the manifest cannot be read: {error}", where=str(path)) from error
    if written != FORMAT:
        remedy = "Use the version of Trainwright that started the run."
        raise RunError(
            f"the manifest has format {written}, this version reads {FORMAT}", where=str(path), remedy=remedy
        )
    return manifest
