"""Granite: roles between `<|start_of_role|>` and `<|end_of_role|>`."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="granite",
    models="Granite 3 and 4",
    marks=("<|start_of_role|>", "<|end_of_role|>"),
    stops=("<|end_of_text|>",),
    quirks=(
        "Granite 3.0 to 3.3 read no `tool_calls`: a conversation with calls is refused.",
        "Granite 3.3 writes a system turn with today's date where none is given.",
    ),
)
