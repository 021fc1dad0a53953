"""pydantic's errors, turned into findings in a user's words: a dotted key, what is wrong with it, what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trainwright.config.words import alternatives, choices, expected, got, nearest, suggestion

Location = tuple[str | int, ...]
_BOUNDS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than", "multiple_of": "a multiple of"}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with one key.

    Attributes:
        key: The dotted key (`lora.r`, `metrics.0.name`).
        message: What is wrong, one sentence.
        remedy: What to do about it.
        kind: `unknown` (no such key), `missing` (a key that must be there) or `value`.
    """

    key: str
    message: str
    remedy: str = ""
    kind: str = "value"


@dataclass(frozen=True)
class Spot:
    """Where a location leads in a model: the dotted key, the model that owns its last part, its annotation."""

    key: str
    owner: type[BaseModel] | None
    annotation: Any


def dotted(*parts: str | int) -> str:
    """`("metrics", 0, "name")` → `metrics.0.name`; empty parts are left out."""
    return ".".join(str(part) for part in parts if part != "")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models among the members of an annotation."""
    for member in alternatives(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            yield member


def locate(model: type[BaseModel], location: Sequence[str | int]) -> Spot:
    """Follow a location through a model, leaving out the tags that pydantic adds for members of unions."""
    parts: list[str | int] = []
    owner: type[BaseModel] | None = model
    annotation: Any = model
    for part in location:
        step = _step(annotation, part)
        if step is not None:
            parts.append(part)
            owner, annotation = step
        elif part == location[-1] and any(models_in(annotation)) and not _is_tag(annotation, part):
            parts.append(part)
            owner, annotation = next(models_in(annotation)), None
    return Spot(dotted(*parts), owner, annotation)


def _is_tag(annotation: Any, part: str | int) -> bool:
    """Whether the part is how pydantic names a member of this union, a model or a list among others."""
    members = [member for member in alternatives(annotation) if member is not type(None)]
    named = {getattr(member, "__name__", "") for member in members}
    return len(members) > 1 and (part in named or "[" in str(part))


def _step(annotation: Any, part: str | int) -> tuple[type[BaseModel] | None, Any] | None:
    """The owner and annotation one part further, or None where the part is no step (a union's tag, an unknown key)."""
    for model in models_in(annotation):
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                return model, field.annotation
    for member in alternatives(annotation):
        origin, arguments = get_origin(member) or member, get_args(member)
        if isinstance(part, int) and origin in (list, tuple, set, frozenset):
            return None, arguments[0] if arguments else Any
        if isinstance(part, str) and origin is dict:
            return None, arguments[1] if arguments else Any
    return None


def findings(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[Finding]:
    """One finding a key, in the order of pydantic's errors.

    Args:
        error: What pydantic raised for `model`.
        model: The model.
        prefix: The dotted key that the model's own keys stand under.
    """
    found: dict[str, Finding] = {}
    for details in error.errors(include_url=False):
        spot = locate(model, details["loc"])
        key = dotted(prefix, spot.key)
        found.setdefault(key, _finding(details, spot, key))
    # of a union's members one may reach deeper into the value; it says more
    return [one for one in found.values() if not any(key.startswith(f"{one.key}.") for key in found)]


def _finding(details: ErrorDetails, spot: Spot, key: str) -> Finding:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    name = key.rpartition(".")[2]
    if kind == "extra_forbidden":
        return Finding(key, f"unknown key `{name}`", suggestion(name, _keys(spot.owner)), "unknown")
    if kind == "missing":
        return Finding(key, f"`{key}` is missing", _what_to_add(spot, name), "missing")
    if "error" in context:
        return Finding(key, str(context["error"]))
    if named := choices(spot.annotation):
        near = nearest(value, named) if isinstance(value, str) else None
        remedy = f"Did you mean `{near}`?" if near else ""
        return Finding(key, f"expected {expected(spot.annotation)}, got {got(value)}", remedy)
    if bound := next((f"{words} {context[name]:g}" for name, words in _BOUNDS.items() if name in context), ""):
        return Finding(key, f"must be {bound}, got {got(value)}")
    if kind == "finite_number":
        return Finding(key, f"must be a finite number, got {value}")
    if kind.endswith(("_type", "_parsing", "is_instance_of", "_from_float")):
        return Finding(key, f"expected {expected(spot.annotation)}, got {got(value)}", _unquote(value, spot.annotation))
    return Finding(key, f"{details['msg']}, got {got(value)}")


def _keys(owner: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in owner.model_fields.items()] if owner else []


def _what_to_add(spot: Spot, name: str) -> str:
    field = spot.owner.model_fields.get(name) if spot.owner else None
    return (
        f"Add `{name}:` {field.description[0].lower() + field.description[1:]}" if field and field.description else ""
    )


def _unquote(value: Any, annotation: Any) -> str:
    """The remedy where the text says the right thing in the wrong notation, or a text was read as something else."""
    members = alternatives(annotation)
    if isinstance(value, str) and (int in members or float in members):
        try:
            float(value)
        except ValueError:
            return ""
        return "Write the number without quotes."
    if isinstance(value, str) and bool in members and value.lower() in ("yes", "no", "on", "off", "true", "false"):
        return f"Write `{'true' if value.lower() in ('yes', 'on', 'true') else 'false'}`, without quotes."
    if isinstance(value, int | float) and not isinstance(value, bool) and str in members:
        return f'Write it in quotes: "{value}".'
    return ""


def without(values: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A copy of nested values that lacks the dotted keys."""

    def copy(value: Any, key: str) -> Any:
        if isinstance(value, Mapping):
            return {k: copy(v, dotted(key, k)) for k, v in value.items() if dotted(key, k) not in keys}
        if isinstance(value, list):
            return [copy(v, dotted(key, i)) for i, v in enumerate(value) if dotted(key, i) not in keys]
        return value

    return {str(k): v for k, v in copy(values, "").items()}
