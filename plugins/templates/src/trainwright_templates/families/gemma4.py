"""Gemma 4: turns in `<|turn>`, and tool results inside the turn that called."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="gemma4",
    models="Gemma 4",
    marks=("<|turn>", "<turn|>"),
    stops=("<turn|>", "<|tool_response>"),
    response="gemma4",
    quirks=(
        "Tool results stand inside the turn of the model, which then has several spans around them.",
        "A turn that calls a tool stops at `<|tool_response>`, the token that the environment's answer begins with.",
        "Most templates write a turn's content behind the results of its own calls: a turn with both is refused.",
        "Reasoning is dropped from the past; by all but the newest templates also from answers that call no tool.",
        "The prompts of some templates close an empty thought, which the past does not have.",
    ),
)
