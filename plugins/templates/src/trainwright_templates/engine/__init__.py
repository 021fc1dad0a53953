"""Where a rendered conversation holds what the assistant says."""

from __future__ import annotations

from trainwright_templates.engine.derive import Derived, Engine, derive
from trainwright_templates.engine.refused import Note, Refused, Unfit
from trainwright_templates.engine.spans import Span

__all__ = ["Derived", "Engine", "Note", "Refused", "Span", "Unfit", "derive"]
