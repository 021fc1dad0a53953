"""A config written out in full: defaults filled in, paths absolute, secrets left out. `resume` reads it back."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from trainwright.config.models import RunConfig
from trainwright.config.paths import is_folder, split_reward, training_values
from trainwright.config.secrets import redact

_HEADER = "# Every setting of this run, defaults included. `trainwright train` with this file does the same again.\n"


def dump_resolved(config: RunConfig) -> str:
    """The config as YAML that can be read from any folder and yields the same config.

    Secrets become null, which for TRL's `hub_token` means: use the token of the machine's own login.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 120
    yaml.representer.add_representer(type(None), lambda representer, _: representer.represent_scalar(_NULL, "null"))
    text = StringIO()
    yaml.dump(redact(resolved_values(config), mask=None), text)
    return _HEADER + text.getvalue()


_NULL = "tag:yaml.org,2002:null"


def resolved_values(config: RunConfig) -> dict[str, Any]:
    """The config as nested plain values with absolute paths; secrets are still in it."""
    values = config.model_dump(mode="json")
    values["output"] = str(config.output.expanduser().resolve())
    values["training"] = training_values(config)
    values["rewards"] = [_reward(reference, config) for reference in config.rewards]
    for key in ("model", "reference", "teacher"):
        if values[key] is not None:
            values[key] = _model(values[key], config)
    if config.data is not None:
        values["data"]["train"] = _data(values["data"]["train"], config)
        values["data"]["eval"] = _data(values["data"]["eval"], config)
    if config.answers is not None:
        values["answers"]["data"] = _data(values["answers"]["data"], config)
    for key in ("loss", "template", "env"):
        values[key] = _file_names(values[key], config)
    values["metrics"] = [_file_names(choice, config) for choice in values["metrics"]]
    return values


def _model(section: dict[str, Any], config: RunConfig) -> dict[str, Any]:
    places = {"path": section["revision"], "adapter": None}
    folders = {
        key: section[key]
        for key, revision in places.items()
        if section[key] and is_folder(section[key], config, revision)
    }
    return {**section, **{key: str(config.resolve(path)) for key, path in folders.items()}}


def _data(source: dict[str, Any] | None, config: RunConfig) -> dict[str, Any] | None:
    from trainwright.data.sources import absolute

    if source is None:
        return None
    paths = source["path"]
    resolved = absolute(paths, config) if isinstance(paths, str) else [absolute(path, config) for path in paths]
    return {**source, "path": resolved}


def _reward(reference: str, config: RunConfig) -> str:
    place, function = split_reward(reference)
    is_file = place.endswith(".py") or "/" in place
    return f"{config.resolve(place)}:{function}" if is_file else reference


def _file_names(value: Any, config: RunConfig) -> Any:
    """A plugin's settings with the names of existing files made absolute; core knows no more of what they mean."""
    if isinstance(value, dict):
        return {key: item if key == "name" else _file_names(item, config) for key, item in value.items()}
    if isinstance(value, list):
        return [_file_names(item, config) for item in value]
    looks_so = isinstance(value, str) and ("/" in value or Path(value).suffix != "") and "\n" not in value
    return str(config.resolve(value)) if looks_so and config.resolve(value).exists() else value
