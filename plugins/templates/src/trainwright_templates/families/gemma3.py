"""Gemma 3 and 3n: as Gemma 2, the system turn put before the first question, contents as text or as parts."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="gemma3",
    models="Gemma 3 and 3n",
    marks=("<start_of_turn>", "<end_of_turn>", "model"),
    absent=("System role not supported",),
    reads=("type",),
    stops=("<end_of_turn>",),
    response="pythonic",
    quirks=(
        "The system turn is written at the head of the first user turn.",
        "Images are `<start_of_image>`, which the processor expands.",
        "Contents are trimmed.",
    ),
)
