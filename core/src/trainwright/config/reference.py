"""`python -m trainwright.config.reference`: docs/config.md, made from the models so that it cannot differ from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trainwright.config.findings import models_in
from trainwright.config.models import SHORTHANDS, RunConfig, Section
from trainwright.config.training import NATIVE_LOSS_FIELDS, SET_ELSEWHERE
from trainwright.config.words import alternatives, expected
from trainwright.trainer.methods import METHODS

_HEAD = """# Config reference

<!-- Made by `python -m trainwright.config.reference > docs/config.md`; a test compares the two. -->

A config is YAML 1.2, or the same as nested mappings in Python (`trainwright.config.load.load_dict`). Unknown keys,
keys given twice and values of a wrong type are errors, all reported together with `file:line: key`. Numbers are not
taken from quoted text, and `yes`/`no` are text: booleans are `true` and `false`.

On the command line `key.sub=value` replaces a key; the value is YAML, an empty one is null, items of lists are numbers:

    trainwright train config.yaml training.max_steps=20 lora.r=8 loss.1.weight=0.2 plugins.disable.0=kto

Relative paths of data, models and code are sought beside the config, then in the working folder; `output` is relative
to the working folder. Environment variables are not read into configs.

A plugin is chosen by its name (`loss: chunked_nll`) or with its settings beside it
(`loss: {name: chunked_nll, chunk_size: 1024}`). `trainwright schema` prints the JSON Schema with the settings of every
installed plugin and the fields of `training:` for every method; point an editor at it to complete keys:

    # yaml-language-server: $schema=trainwright.schema.json

Losses are mixed by weight, a number above 0, 1 where none is given; see [losses](losses.md):

    loss: [{name: sigmoid_norm, weight: 1.0, beta: 5.0}, {name: sft, weight: 0.1}]
"""


def render() -> str:
    """The page, as Markdown."""
    lines = [_HEAD, "## Top level", "", *_table(RunConfig)]
    for model, keys in _sections().items():
        lines += ["", f"## {', '.join(f'`{key}:`' for key in keys)}", "", *_about(model), "", *_table(model)]
    return "\n".join([*lines, "", *_methods(), "", *_training(), ""])


def _sections() -> dict[type[BaseModel], list[str]]:
    """Each section's model, with the dotted keys that hold one."""
    found: dict[type[BaseModel], list[str]] = {}

    def visit(model: type[BaseModel], prefix: str) -> None:
        for name, field in model.model_fields.items():
            for section in models_in(field.annotation):
                if issubclass(section, Section):
                    found.setdefault(section, []).append(f"{prefix}{name}")
                    visit(section, f"{prefix}{name}.")

    visit(RunConfig, "")
    return found


def _about(model: type[BaseModel]) -> Iterator[str]:
    yield (model.__doc__ or "").strip()
    if model in SHORTHANDS:
        yield f"\nA plain value stands for `{SHORTHANDS[model]}`."


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | takes | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        meaning = (field.description or "").replace("|", "\\|")
        yield f"| `{name}` | {_takes(field)} | {_default(field)} | {meaning} |"


def _takes(field: FieldInfo) -> str:
    models = [model for model in alternatives(field.annotation) if isinstance(model, type)]
    if any(issubclass(model, BaseModel) and not issubclass(model, Section) for model in models):
        several = any(get_origin(model) is list for model in alternatives(field.annotation))
        return "a plugin's name, a mapping, or a list of them" if several else "a plugin's name, or a mapping"
    if any(model in SHORTHANDS for model in models):
        return "a path, or a mapping"
    return expected(field.annotation).replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if value is None or value == [] or value == {} or isinstance(value, Section):
        return ""
    value = getattr(value, "name", value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _methods() -> Iterator[str]:
    yield from ("## Methods", "")
    yield from ("| method | TRL's trainer | columns of a row | needs | takes |", "|---|---|---|---|---|")
    for method in METHODS.values():
        columns = ", or ".join(" + ".join(f"`{name}`" for name in names) for names in method.columns)
        needs = ", ".join(" or ".join(f"`{name}`" for name in need.split("|")) for need in method.needs)
        offers = ", ".join(f"`{name}`" for name in method.offers)
        yield f"| `{method.name}` | `{method.module}.{method.trainer}` | {columns} | {needs} | {offers} |"


def _training() -> Iterator[str]:
    yield from ("## `training:`", "")
    yield "The fields of the method's TRL config class, by TRL's names and with TRL's defaults; names and types are"
    yield "checked."
    yield "TRL's classes are read once for each installed version and then from the user's cache (`TRAINWRIGHT_CACHE`)."
    yield "Fields that TRL deprecates are taken, with a notice. These are not taken, because Trainwright sets them:"
    yield from ("", "| field | instead |", "|---|---|")
    yield from (f"| `{name}` | {instead} |" for name, instead in SET_ELSEWHERE.items())
    yield from ("", "With a loss other than `trl` nothing would read these, so they are errors:", "")
    yield "* every method: `loss_type`"
    for method, names in NATIVE_LOSS_FIELDS.items():
        yield f"* `{method}`: {', '.join(f'`{name}`' for name in names)}"


if __name__ == "__main__":
    print(render(), end="")
