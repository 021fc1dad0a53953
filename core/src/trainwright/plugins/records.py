"""What is known of one plugin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from packaging.utils import canonicalize_name

from trainwright.hooks import HOOKS, PROJECT, PluginSettings

State = Literal["active", "disabled", "broken", "incompatible"]


@dataclass(frozen=True)
class PluginRecord:
    """One plugin: a name that a distribution gives to a module (or object) that implements hooks.

    Attributes:
        name: The name that a config uses.
        distribution: The distribution that brings it, as its metadata spells it.
        version: The distribution's version.
        value: The entry point's value, `module` or `module:attribute`.
        provides: The hooks that its metadata declares, wrappers included, in the order of `hooks.HOOKS`.
        state: `active`; `disabled` by a switch or a pin; `broken`; `incompatible` with what is installed.
        reason: Why it is not active.
        remedy: What to do about it.
        traceback: What its import raised, whole.
        location: The file of its module once loaded; before, the folder that its distribution is installed in.
        loaded: Whether it was imported and passed every check.
        answers: The hooks that it implements; known once loaded.
        wraps: The hooks that it wraps; known once loaded.
        settings_model: Its `Settings`; None where it takes none.
        methods: The training methods that its loss serves; None for all.
        reference_free: Whether its loss never asks for the reference model.
        parts: What is registered with pluggy once loaded: its implementations, and its wrappers.
    """

    name: str
    distribution: str
    version: str
    value: str
    provides: tuple[str, ...] = ()
    state: State = "active"
    reason: str = ""
    remedy: str = ""
    traceback: str = ""
    location: str = ""
    loaded: bool = False
    answers: tuple[str, ...] = ()
    wraps: tuple[str, ...] = ()
    settings_model: type[PluginSettings] | None = None
    methods: frozenset[str] | None = None
    reference_free: bool = False
    parts: tuple[object, object] | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """What it is sorted by and told apart by: (normalised distribution, name)."""
        return canonicalize_name(self.distribution), self.name

    @property
    def label(self) -> str:
        """`'simpo' (trainwright-simpo 0.1.0)`."""
        return f"{self.name!r} ({self.distribution} {self.version})"

    @property
    def module(self) -> str:
        """The module that is imported for it."""
        return self.value.partition(":")[0].strip()

    @property
    def built_in(self) -> bool:
        """Whether it comes with core itself."""
        return self.key[0] == PROJECT

    def serves(self, method: str) -> bool:
        """Whether its loss serves a training method."""
        return self.methods is None or method in self.methods

    def as_dict(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        plain = ("name", "distribution", "version", "state", "value", "reason", "remedy", "traceback", "location")
        return {
            **{key: getattr(self, key) for key in plain},
            **{key: list(getattr(self, key)) for key in ("provides", "answers", "wraps")},
            "built_in": self.built_in,
            "loaded": self.loaded,
            "methods": None if self.methods is None else sorted(self.methods),
            "reference_free": self.reference_free,
            "settings": self.settings_model is not None,
        }


def in_hook_order(hooks: set[str]) -> tuple[str, ...]:
    """Known hooks as `hooks.HOOKS` orders them, then unknown ones."""
    return tuple(hook for hook in HOOKS if hook in hooks) + tuple(sorted(hooks.difference(HOOKS)))
