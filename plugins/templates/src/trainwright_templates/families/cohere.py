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
        "The template for tool use writes the next turn's header behind an answer; it is no part of it.",
        "Tool calls stand in a fenced JSON list behind `Action:`, whose parameters are named `parameters`.",
    ),
)
