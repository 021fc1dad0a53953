"""Qwen2.5-VL's processor without videos, for an environment without torchvision."""

from __future__ import annotations

from typing import Any

from transformers import Qwen2_5_VLProcessor as FullProcessor


class Qwen2_5_VLProcessor(FullProcessor):  # type: ignore[misc]  # noqa: N801
    """Images and text only; transformers' own class insists on a video processor, which needs torchvision.

    It has the name of that class, so that a folder saved here is loaded as what it is where torchvision is installed.
    transformers reads the parts that a processor has from the parameters of `__init__`.
    """

    def __init__(self, image_processor: Any, tokenizer: Any, chat_template: str | None = None) -> None:
        super().__init__(image_processor, tokenizer, None, chat_template=chat_template)
