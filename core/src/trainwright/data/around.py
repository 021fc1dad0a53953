"""A collator around another: what those have in common that add to, or change, what TRL's collator makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class AroundCollator:
    """Asks the collator inside for every attribute that it lacks. Picklable if that one is.

    Args:
        collate: The collator inside: TRL's, or one around it.
    """

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self.collate = collate

    @property
    def innermost(self) -> Any:
        """TRL's collator, whose settings are set there."""
        inner = self.collate
        return inner.innermost if isinstance(inner, AroundCollator) else inner

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "collate":  # asked for while it is unpickled
            raise AttributeError(name)
        return getattr(self.collate, name)
