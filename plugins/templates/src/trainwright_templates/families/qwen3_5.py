"""Qwen3.5 and later: thinking opened by the generation prompt, tool calls as XML."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="qwen3.5",
    models="Qwen3.5, 3.6, 3.8",
    marks=("<|im_start|>", "<tool_call>", "<function=", "<parameter=", "<think>", "vision_start"),
    reads=("reasoning_content",),
    stops=("<|im_end|>",),
    response="xml_function",
    quirks=(
        "The generation prompt opens `<think>` (or closes an empty block): what it writes carries no loss.",
        "Qwen3.5 and 3.6 drop reasoning before the last user turn; 3.8 keeps it.",
        "Arguments are XML parameters, so a number and its text look alike without the tool's schema.",
    ),
)
