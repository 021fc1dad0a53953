"""Small images, and processors that turn them into a few patches. Pillow is needed, torchvision is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainwright.testing.families import find_family
from trainwright.testing.tokenizers import chat_template, tiny_tokenizer

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import ProcessorMixin

TOKEN_AREA = 28 * 28
"""Pixels that make one token of Qwen2.5-VL: 2 x 2 patches of 14 x 14."""


def tiny_image(seed: int = 0, *, width: int = 56, height: int = 28) -> Image:
    """Return an RGB image of a seeded pattern: a gradient and noise, so that no two patches are alike.

    Args:
        seed: Seed of the pattern.
        width: In pixels.
        height: In pixels.
    """
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(seed).integers(0, 128, (height, width, 3))
    gradient = np.linspace(0, 127, width)[None, :, None]
    return Image.fromarray((noise + gradient).astype(np.uint8), "RGB")


def tiny_processor(family: str, *, generation_markers: bool = False) -> ProcessorMixin:
    """Return a new processor of a family that takes images.

    Args:
        family: A name in `FAMILIES` with the trait `vision`.
        generation_markers: See `tiny_tokenizer`.

    Returns:
        For `gemma3-vlm` images become 28 x 28 pixels and 4 tokens; for `qwen2.5-vl` they keep their shape, a token for
        28 x 28 pixels, at most 8 tokens. Without torchvision the Qwen processor has no videos, and `AutoProcessor`
        cannot load it from a folder: transformers asks for torchvision there.

    Raises:
        KeyError: Where there is no such family.
        ValueError: Where the family takes no images.
    """
    row = find_family(family)
    if "vision" not in row.traits:
        raise ValueError(f"{family} takes no images")
    template = chat_template(family, generation_markers=generation_markers)
    make = _gemma3_processor if row.prefix == "Gemma3" else _qwen_processor
    return make(tiny_tokenizer(family, generation_markers=generation_markers), template)


def _gemma3_processor(tokenizer: Any, template: str) -> ProcessorMixin:
    from transformers import Gemma3Processor
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    images = Gemma3ImageProcessorPil(size={"height": 28, "width": 28})
    return Gemma3Processor(images, tokenizer, chat_template=template, image_seq_length=4)


def _qwen_processor(tokenizer: Any, template: str) -> ProcessorMixin:
    import transformers
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.utils import is_torchvision_available

    size = {"shortest_edge": TOKEN_AREA, "longest_edge": 8 * TOKEN_AREA}
    images = Qwen2VLImageProcessorPil(size=size)
    if not is_torchvision_available():
        from trainwright.testing.qwen_vl import Qwen2_5_VLProcessor

        return Qwen2_5_VLProcessor(images, tokenizer, chat_template=template)
    videos = transformers.Qwen2VLVideoProcessor(size=size)
    return transformers.Qwen2_5_VLProcessor(images, tokenizer, videos, chat_template=template)
