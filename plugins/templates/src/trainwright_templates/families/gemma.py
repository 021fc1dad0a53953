"""Gemma 1 and 2: the assistant is called `model`, and there is no system turn."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="gemma",
    models="Gemma 1 and 2",
    marks=("<start_of_turn>", "<end_of_turn>", "model", "System role not supported"),
    stops=("<end_of_turn>",),
    quirks=(
        "A turn ends with `<end_of_turn>`, which is not the tokenizer's end of sequence.",
        "A system turn, and two turns of one role in a row, are refused by the template.",
        "Contents are trimmed.",
    ),
)
