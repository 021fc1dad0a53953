"""Phi-4: ChatML with `<|im_sep|>` behind the role."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="phi4",
    models="Phi-4, Phi-4 reasoning",
    marks=("<|im_start|>", "<|im_sep|>", "<|im_end|>"),
    stops=("<|im_end|>",),
    quirks=("`<|im_sep|>` is part of the header and carries no loss.",),
)
