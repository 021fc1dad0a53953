"""Qwen3: ChatML that drops reasoning from turns before the last question."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="qwen3",
    models="Qwen3 (hybrid thinking)",
    marks=("<|im_start|>", "<tool_call>", "<think>", "</think>", "<tool_response>"),
    absent=("<function=", "vision_start", "<|observation|>", "[gMASK]"),
    reads=("reasoning_content",),
    stops=("<|im_end|>",),
    response="hermes",
    quirks=(
        "Reasoning before the last user turn is dropped, so only the reasoning of the last answers is trained.",
        "An answer without reasoning behind the last question gets an empty `<think>` block, which the model writes.",
        "With `enable_thinking: false` the generation prompt closes an empty `<think>` block, which carries no loss.",
    ),
)
