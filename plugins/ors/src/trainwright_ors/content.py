"""Blocks of a prompt or a result as the messages of a chat: text, or a list of parts where there are images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from trainwright_ors.client import Block, ImageBlock, OrsError, Place, TextBlock

OMITTED = "[image]"
Content = str | list[dict[str, Any]]


def content(blocks: Sequence[Block], place: Place, *, images: bool | None) -> Content:
    """What a model is shown.

    Args:
        blocks: Text and images.
        place: For errors.
        images: Whether it takes images; False puts `[image]` in their place, None refuses them.

    Returns:
        Text, the blocks one below the other; or, with images, parts as chat templates take them, images as PIL's.

    Raises:
        OrsError: There are images and the model takes none, or an image cannot be read.
    """
    if images is None and any(isinstance(block, ImageBlock) for block in blocks):
        raise OrsError(
            "there are images, and the model or its trainer takes none",
            place,
            remedy="train a model that does by `grpo`, or say `images: omit` to show `[image]` in their place",
        )
    if not images or all(isinstance(block, TextBlock) for block in blocks):
        return "\n".join(block.text if isinstance(block, TextBlock) else OMITTED for block in blocks)
    return [_part(block, place) for block in blocks]


def _part(block: Block, place: Place) -> dict[str, Any]:
    if isinstance(block, TextBlock):
        return {"type": "text", "text": block.text}
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(block.data))
        return {"type": "image", "image": image.convert("RGB")}
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise OrsError(
            f"an image of type {block.mime_type[:40]!r} cannot be read: {type(error).__name__}", place
        ) from None
