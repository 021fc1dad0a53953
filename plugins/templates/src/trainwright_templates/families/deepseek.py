"""DeepSeek V3 and R1: full-width bars in special tokens, thoughts cut from the past."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="deepseek",
    models="DeepSeek V3, V3.1, R1 and its distillations",
    marks=("<｜User｜>", "<｜Assistant｜>", "<｜tool▁calls▁begin｜>"),
    stops=("<｜end▁of▁sentence｜>",),
    quirks=(
        "Everything before `</think>` is cut from answers, by value: it need not be in `reasoning_content`.",
        "`reasoning_content` is not read: reasoning in the data is dropped.",
        "`<｜tool▁outputs▁end｜>` is written by the environment and carries no loss.",
        "Some templates join arguments to text and so take them as a JSON string only.",
    ),
)
