"""SmolLM: ChatML with a system prompt that names the model."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="smollm",
    models="SmolLM2, SmolLM3",
    marks=("<|im_start|>", "<|im_end|>", "SmolLM"),
    stops=("<|im_end|>",),
    quirks=(
        "Where no system turn is given, the template writes one.",
        "SmolLM3 reads no `tool_calls`: a conversation with calls is refused.",
        "Some of SmolLM3's templates print today's date.",
    ),
)
