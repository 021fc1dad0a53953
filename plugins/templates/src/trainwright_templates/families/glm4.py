"""GLM-4: a turn ends where the header of the next begins."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="glm4",
    models="GLM-4 MoE, 4.5, 4.6, 4.7, 5",
    marks=("[gMASK]", "<|observation|>", "<|assistant|>", "<arg_key>"),
    stops=("<|user|>", "<|observation|>", "<|endoftext|>"),
    response="glm",
    quirks=(
        "No stop token is written behind the last turn: `<|user|>`, or `<|observation|>` behind a tool call, is added.",
        "Reasoning before the last user turn is dropped; its closing tag stays.",
    ),
)
