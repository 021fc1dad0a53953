"""Cohere Command R7B and Command A: answers, actions and thoughts between tokens of their own."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="cohere2",
    models="Cohere Command R7B, Command A",
    marks=("<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|START_RESPONSE|>"),
    stops=("<|END_OF_TURN_TOKEN|>",),
    response="cohere",
    quirks=(
        "`<|START_RESPONSE|>` carries loss unless the prompt writes it; `<|END_RESPONSE|>` always does.",
        "Tool results are a system turn, not part of the turn that called.",
        "Templates without tools drop tool calls, which is refused; those with tools drop content beside a call.",
    ),
)
