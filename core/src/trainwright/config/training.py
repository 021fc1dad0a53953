"""`training:` against the TRL config class of the method: names, types, and fields that are set elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, create_model

from trainwright.config.fields import TrlField, trl_fields
from trainwright.config.findings import Finding, findings
from trainwright.config.words import nearest

SET_ELSEWHERE = {
    "output_dir": "`output:` names the run's folder; checkpoints go to `checkpoints/` in it",
    "overwrite_output_dir": "a folder that holds a run is never overwritten: give another `output:`",
    "logging_dir": "the run's folder holds its logs",
    "resume_from_checkpoint": "`trainwright resume FOLDER` continues a run",
    "do_train": "`trainwright train` trains",
    "do_eval": "`data.eval` and `training.eval_strategy` say whether to evaluate",
    "do_predict": "nothing is predicted; `answers:` asks questions before and after training",
    "local_rank": "the launcher (`accelerate launch`, `torchrun`) sets it",
    "model_init_kwargs": "`model.init_kwargs`",
    "trust_remote_code": "`model.trust_remote_code`",
    "teacher_model_name_or_path": "`teacher.path`",
    "teacher_model_revision": "`teacher.revision`",
    "teacher_model_init_kwargs": "`teacher.init_kwargs`",
    "chat_template_path": "`template: {name: file, path: ...}`",
    "dataset_text_field": "`data.train.columns: {text: ...}`",
}
"""Fields that Trainwright sets itself, and what to write instead."""

NATIVE_LOSS_FIELDS = {
    "sft": ("label_smoothing_factor",),
    "dpo": (
        "beta",
        "loss_weights",
        "ld_alpha",
        "f_divergence_type",
        "f_alpha_divergence_coef",
        "label_smoothing",
        "use_weighting",
        "discopop_tau",
    ),
    "kto": ("beta", "desirable_weight", "undesirable_weight"),
}
"""Fields, besides `loss_type`, that only the loss of TRL's own trainer reads; with a plugin's loss nothing would."""

_PADDING_FREE = Finding(
    "training.padding_free",
    "`padding_free` does nothing with `loss: trl`: TRL's own trainer of preferences pads",
    "Remove it, or take a plugin's loss, with which Trainwright does it.",
)

_MINIMUM = {
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "num_generations": 1,
    "dataloader_num_workers": 0,
    "learning_rate": 0,
    "warmup_steps": 0,
    "weight_decay": 0,
    "max_grad_norm": 0,
}
_TYPES: dict[str, Any] = {
    "int": Annotated[int, Strict()],
    "float": Annotated[float, Strict()],
    "bool": Annotated[bool, Strict()],
    "str": Annotated[str, Strict()],
    "null": None,
    "dict": dict[str, Any],
    "any": Any,
}


def training_model(method: str) -> type[BaseModel]:
    """A pydantic model of what `training:` may hold for a method; unknown keys are errors."""
    return _model(method, trl_fields(method).values())


def _model(method: str, fields: Any) -> type[BaseModel]:
    definitions: dict[str, Any] = {
        field.name: (_annotation(field), _info(field))
        for field in fields
        if field.name not in SET_ELSEWHERE and _annotation(field) is not None
    }
    config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())
    return create_model(f"Training_{method}", __config__=config, **definitions)


def _annotation(field: TrlField) -> Any:
    """The field's type, or None where no YAML value would do."""
    members = [_member(field, name) for name in field.types if name != "object"]
    return reduce(or_, members) if any(member is not None for member in members) else None


def _member(field: TrlField, name: str) -> Any:
    if name == "str" and field.choices:
        return Literal[field.choices]
    if name.startswith("list["):
        return list[_TYPES.get(name[5:-1], Any)]  # type: ignore[misc]
    return _TYPES[name]


def _info(field: TrlField) -> Any:
    # a bound does not apply to the other members of a union such as `int | str`
    numeric = set(field.types) <= {"int", "float", "null"}
    minimum = _MINIMUM.get(field.name) if numeric else None
    return Field(field.default, description=field.help or None, ge=minimum, deprecated=field.deprecated or None)


def check_training(method: str, values: Mapping[str, Any], loss: str = "trl") -> list[Finding]:
    """What is wrong with the values of `training:`.

    Args:
        method: The training method.
        values: The values as the config gives them.
        loss: The name of the loss.

    Raises:
        TrainwrightError: Where TRL's fields cannot be had.
    """
    known = trl_fields(method)
    elsewhere = [_elsewhere(name) for name in values if name in SET_ELSEWHERE]
    rest = {name: value for name, value in values.items() if name not in SET_ELSEWHERE}
    unwritable = [name for name in rest if name in known and _annotation(known[name]) is None]
    problems = [*elsewhere, *(_unwritable(name) for name in unwritable)]
    # building a model of all 150 fields takes longer than the rest of the check
    model = _model(method, [known[name] for name in rest if name in known])
    try:
        model.model_validate({name: value for name, value in rest.items() if name not in unwritable})
    except ValidationError as error:
        problems += [_with_known_names(finding, known) for finding in findings(error, model, "training")]
    return problems + _pointless(method, rest, loss)


def _elsewhere(name: str) -> Finding:
    return Finding(f"training.{name}", f"`{name}` is not set here", f"Instead: {SET_ELSEWHERE[name]}.")


def _unwritable(name: str) -> Finding:
    return Finding(f"training.{name}", f"`{name}` takes a Python object, which a config cannot hold", "Remove it.")


def _with_known_names(finding: Finding, known: Mapping[str, TrlField]) -> Finding:
    if finding.kind != "unknown":
        return finding
    name = finding.key.removeprefix("training.")
    near = nearest(name, [other for other in known if other not in SET_ELSEWHERE])
    remedy = f"Did you mean `{near}`?" if near else "`trainwright schema` lists what `training:` takes."
    return Finding(finding.key, finding.message, remedy, "unknown")


def _pointless(method: str, values: Mapping[str, Any], loss: str) -> list[Finding]:
    """Fields that only TRL's own loss reads, where the loss is a plugin's; and one that it does not read."""
    if loss == "trl":
        return [_PADDING_FREE] if method in ("dpo", "kto") and values.get("padding_free") else []
    native = ("loss_type", *NATIVE_LOSS_FIELDS.get(method, ()))
    return [
        Finding(
            f"training.{name}",
            f"`{name}` belongs to TRL's own loss, and the loss is `{loss}`: nothing would read it",
            f"Remove it, or set `loss: trl`; settings of `{loss}` stand under `loss:`.",
        )
        for name in values
        if name in native
    ]


def deprecations(method: str, values: Mapping[str, Any]) -> list[Finding]:
    """The fields in use that TRL calls deprecated, with what TRL says; they still work."""
    known = trl_fields(method)
    return [
        Finding(f"training.{name}", f"`{name}` is deprecated in TRL", known[name].help)
        for name in values
        if name in known and known[name].deprecated
    ]
