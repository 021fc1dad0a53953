"""The JSON Schema (draft 2020-12) of a config with everything that is installed: editors complete and check with it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from trainwright.config.models import NATIVE, SHORTHANDS, LossTerm, RunConfig
from trainwright.config.training import training_model
from trainwright.trainer.methods import METHODS

if TYPE_CHECKING:
    from trainwright.plugins.manager import PluginManager
    from trainwright.plugins.records import PluginRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CHOICES = {"loss": "compute_loss", "template": "chat_template", "env": "build_env"}


def build_schema(manager: PluginManager | None = None) -> dict[str, Any]:
    """The schema of a config.

    Args:
        manager: The plugins whose settings are part of it; None for everything that is installed.

    Raises:
        TrainwrightError: Where TRL's fields are neither in the cache nor to be had.
    """
    manager = manager or _installed()
    schema = {"$schema": DIALECT, **RunConfig.model_json_schema()}
    definitions: dict[str, Any] = schema["$defs"]
    _add_shorthands(definitions)
    properties: dict[str, Any] = schema["properties"]
    properties["method"]["enum"] = list(METHODS)
    for key, hook in _CHOICES.items():
        choice = _choice(_answering(manager, hook), definitions, hook)
        others = {"env": [{"type": "null"}], "loss": [_mix(manager, definitions)]}.get(key, [])
        properties[key] = {**_described(properties[key]), **({"anyOf": [choice, *others]} if others else choice)}
    properties["metrics"]["items"] = _choice(_answering(manager, "metrics"), definitions, "metrics")
    schema["allOf"] = [_training(method, definitions) for method in METHODS]
    del definitions["PluginChoice"], definitions["LossTerm"]
    return schema


def _mix(manager: PluginManager, definitions: dict[str, Any]) -> dict[str, Any]:
    """Several losses, each with a weight beside its name and settings."""
    records = [record for record in _answering(manager, "compute_loss") if record.name != NATIVE]
    weight = LossTerm.model_json_schema()["properties"]["weight"]
    return {"type": "array", "minItems": 1, "items": _choice(records, definitions, "compute_loss", weight=weight)}


def _installed() -> PluginManager:
    from trainwright.plugins.manager import PluginManager

    return PluginManager.discover().load()


def _answering(manager: PluginManager, hook: str) -> list[PluginRecord]:
    return [record for record in manager.load().active if hook in record.answers]


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: schema[name] for name in ("description", "default") if name in schema}
    if isinstance(kept.get("default"), dict):  # `{name: trl}` is what `trl` stands for
        kept["default"] = kept["default"]["name"]
    return kept


def _add_shorthands(definitions: dict[str, Any]) -> None:
    """Sections that may be one plain value: `model: NAME` beside `model: {path: NAME}`."""
    for model, key in SHORTHANDS.items():
        if model.__name__ in definitions and key in definitions[model.__name__]["properties"]:
            whole = definitions[model.__name__]
            short = {name: item for name, item in whole["properties"][key].items() if name != "title"}
            definitions[model.__name__] = {"description": whole.get("description", ""), "anyOf": [short, whole]}


def _choice(records: list[PluginRecord], definitions: dict[str, Any], hook: str, **beside: Any) -> dict[str, Any]:
    """A plugin by its name, or an object with its settings, and further properties, beside `name`."""
    if not records:
        return {"not": {}, "description": "No plugin for this is installed."}
    names = {"enum": [record.name for record in records], "description": "The plugin's name."}
    return {"oneOf": [names, *(_settings(record, definitions, hook, beside) for record in records)]}


def _settings(record: PluginRecord, definitions: dict[str, Any], hook: str, beside: dict[str, Any]) -> dict[str, Any]:
    own = record.settings_model.model_json_schema() if record.settings_model else {"properties": {}}
    prefix = f"{hook}.{record.name}"
    for name, definition in own.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = _moved(definition, prefix)
    own = _moved(own, prefix)
    label = f"{record.name} ({record.distribution} {record.version})"
    return {
        "type": "object",
        "title": label,
        "description": own.get("description", label),
        "properties": {"name": {"const": record.name}, **beside, **own["properties"]},
        "required": ["name", *own.get("required", [])],
        "additionalProperties": own.get("additionalProperties", False),
    }


def _moved(schema: Any, prefix: str) -> Any:
    """References of a plugin's schema to its own definitions, which now carry a prefix."""
    if isinstance(schema, dict):
        return {
            name: f"#/$defs/{prefix}.{item.removeprefix('#/$defs/')}"
            if name == "$ref" and isinstance(item, str)
            else _moved(item, prefix)
            for name, item in schema.items()
        }
    return [_moved(item, prefix) for item in schema] if isinstance(schema, list) else copy.copy(schema)


def _training(method: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """`training:` of one method; a config without `method:` is of the default one."""
    definitions[f"training.{method}"] = training_model(method).model_json_schema()
    chosen: dict[str, Any] = {"properties": {"method": {"const": method}}}
    if method != RunConfig.model_fields["method"].default:
        chosen["required"] = ["method"]
    return {"if": chosen, "then": {"properties": {"training": {"$ref": f"#/$defs/training.{method}"}}}}
