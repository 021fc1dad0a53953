"""A chat template compiled and rendered in a bounded sandbox of its own."""

from __future__ import annotations

from trainwright_templates.render.sandbox import RenderError, TemplateError
from trainwright_templates.render.template import Message, Template

__all__ = ["Message", "RenderError", "Template", "TemplateError"]
