"""Qwen3 Instruct 2507: ChatML with tool calls as JSON and without thinking."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="qwen3-2507",
    models="Qwen3-2507 (instruct), Qwen3-VL",
    marks=(
        "<|im_start|>",
        "<tool_call>",
        "<tool_response>",
        "# Tools",
        "You may call one or more functions to assist with the user query.",
    ),
    absent=("<think>", "<function=", "You are Qwen, created by Alibaba Cloud", "You are a helpful assistant."),
    reads=("tool_calls",),
    stops=("<|im_end|>",),
    response="hermes",
    quirks=("`reasoning_content` is not read: reasoning in the data is dropped.",),
)
