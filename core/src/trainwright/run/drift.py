"""What has changed since a run began: a resumed run must depend on the same things, or it is another run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainwright.errors import Problem, RunError

EXTENDING = frozenset(
    f"training.{name}"
    for name in (
        "max_steps",
        "num_train_epochs",
        "save_steps",
        "save_strategy",
        "save_total_limit",
        "logging_steps",
        "logging_strategy",
        "logging_first_step",
    )
)
"""Config keys that a resumed run may change: how long it goes on, and how often it saves and logs."""

_REMEDY = "Put it back as it was, start a new run, or continue all the same with `--allow-drift`."
_ABSENT = "absent"


def drift(manifest: Mapping[str, Any], now: Mapping[str, Any]) -> list[Problem]:
    """How a run's manifest differs from what its continuation would depend on.

    Packages, the config, who takes part in each hook, the template's hash, the data's fingerprints and the number of
    ranks are compared, as far as `now` has them; hardware, git and times are not.

    Args:
        manifest: What the run began with.
        now: The manifest, or the part of it that is known so far, of now.
    """
    return [
        Problem(
            f"{what} changed since the run began: {before} → {after}", where=f"manifest.json: {key}", remedy=_REMEDY
        )
        for key, what, before, after in _differences(manifest, now)
    ]


def refuse_drift(manifest: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Do nothing where nothing that matters has changed; see `drift`.

    Raises:
        RunError: With every difference.
    """
    problems = drift(manifest, now)
    if problems:
        raise RunError.together(problems)


def _differences(manifest: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for section, what in (("packages", "package"), ("config", "config key"), ("template", "template")):
        if section not in now:
            continue
        before, after = flat(manifest.get(section)), flat(now[section])
        keys = before if section == "packages" else {**before, **after}  # a package that is new takes no part
        for key in keys:
            if before.get(key) != after.get(key) and not (section == "config" and _may_change(key)):
                place, label = f"{section}.{key}".strip("."), f"{what} {key}".strip()
                yield place, label, _text(before.get(key, _ABSENT)), _text(after.get(key, _ABSENT))
    yield from _data(manifest, now)
    yield from _hooks(manifest, now)
    if "hardware" in now:
        ranks, ranks_now = (each.get("hardware", {}).get("ranks") for each in (manifest, now))
        if ranks != ranks_now:
            yield "hardware.ranks", "the number of ranks", _text(ranks), _text(ranks_now)


def _data(manifest: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """One difference a split: what of its fingerprint differs."""
    before, after = manifest.get("data", {}), now.get("data", {})
    for split in {**before, **after} if "data" in now else ():
        old, new = flat(before.get(split)), flat(after.get(split))
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        if keys:
            said = [", ".join(f"{key} {_text(side.get(key, _ABSENT), 16)}" for key in keys) for side in (old, new)]
            yield f"data.{split}", f"the data of {split}", said[0], said[1]


def _hooks(manifest: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    if "hooks" not in now:
        return
    for hook in {**manifest.get("hooks", {}), **now["hooks"]}:
        if hook == "validate_config":  # it speaks before a run, and changes nothing in it
            continue
        before, after = (", ".join(participants(each.get("hooks", {}).get(hook))) for each in (manifest, now))
        if before != after:
            yield f"hooks.{hook}", f"who provides {hook}", before or _ABSENT, after or _ABSENT


def participants(explained: Mapping[str, Any] | None) -> list[str]:
    """Who takes part in a hook, outermost first: `chunked_nll (trainwright-chunked-nll 0.1.0)`."""
    rows: Sequence[Mapping[str, Any]] = (explained or {}).get("participants", ())
    return [f"{row['name']} ({row['distribution']} {row['version']})" for row in rows]


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """Nested mappings and lists as dotted keys; nothing for None."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        return {name: leaf for part in value for name, leaf in flat(value[part], f"{key}.{part}".strip(".")).items()}
    return {} if value is None else {key: value}


def _may_change(key: str) -> bool:
    return key in EXTENDING or key == "output"


def _text(value: Any, width: int = 60) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"
