"""Qwen2.5: ChatML with a system prompt of its own, tool calls as JSON in `<tool_call>`."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="qwen2.5",
    models="Qwen2.5",
    marks=("<|im_start|>", "<tool_call>", "You are Qwen, created by Alibaba Cloud"),
    absent=("<think>", "<function="),
    stops=("<|im_end|>",),
    response="hermes",
    quirks=(
        "Where no system turn is given, the template writes one.",
        "Tool results are user turns, several in one.",
    ),
)
