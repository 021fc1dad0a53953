"""Granite: roles between `<|start_of_role|>` and `<|end_of_role|>`."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="granite",
    models="Granite 3 and 4",
    marks=("<|start_of_role|>", "<|end_of_role|>"),
    stops=("<|end_of_text|>",),
    quirks=(
        "Granite 3.x reads no `tool_calls`: a conversation with calls is refused.",
        "The system turn prints today's date unless one is given.",
    ),
)
