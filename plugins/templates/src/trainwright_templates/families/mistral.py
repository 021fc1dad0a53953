"""Mistral: `[INST]` around questions, the end of sequence behind answers."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="mistral",
    models="Mistral, Mixtral, Nemo, Small, Devstral, Ministral",
    marks=("[INST]", "[/INST]"),
    absent=("<<SYS>>",),
    stops=("</s>",),
    quirks=(
        "Older templates put the system prompt and the tools into the last user turn, so each turn rewrites the past.",
        "Identifiers of tool calls must have nine letters or digits.",
        "There is no generation prompt: an answer begins behind `[/INST]` or a tool result.",
    ),
)
