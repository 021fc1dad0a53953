"""Cohere Command R and Aya: turns in `<|START_OF_TURN_TOKEN|>`, roles as tokens of their own."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="cohere",
    models="Cohere Command R, Aya",
    marks=("<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>"),
    absent=("<|START_RESPONSE|>", "<|START_ACTION|>"),
    stops=("<|END_OF_TURN_TOKEN|>",),
    quirks=(
        "The template for tool use writes no stop token behind a call, and rejects conversations without tools.",
        "It writes instructions of the system behind the last turn and before the prompt: no part of an answer.",
        "Tool calls stand in a fenced JSON list behind `Action:`, whose parameters are named `parameters`.",
    ),
)
