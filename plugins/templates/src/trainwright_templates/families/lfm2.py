"""LFM2: ChatML with tool calls in Python between tokens of their own."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="lfm2",
    models="LFM2, LFM2.5",
    marks=("<|im_start|>", "<|im_end|>", "<|tool_"),
    absent=("<tool_call>",),
    stops=("<|im_end|>",),
    quirks=(
        "LFM2's first template reads no `tool_calls`: a conversation with calls is refused.",
        "LFM2.5 cuts thoughts from earlier answers, by value (everything before `</think>`).",
    ),
)
