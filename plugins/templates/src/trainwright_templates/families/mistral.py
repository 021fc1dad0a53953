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
        "Older templates write the system prompt in the last user turn only, if no answer follows: here it is dropped.",
        "Some templates reject identifiers of tool calls that are not nine letters or digits.",
        "There is no generation prompt: an answer begins behind `[/INST]` or a tool result.",
    ),
)
