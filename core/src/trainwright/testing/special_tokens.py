"""The special tokens of each family, spelt as in its published tokenizers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class SpecialTokens:
    """A family's special tokens.

    Attributes:
        eos: Ends a text or, in chat models that do so, a turn.
        pad: Fills a batch.
        bos: Begins a text, where the family has such a token.
        markers: Further special tokens: turns, roles, images.
        words: Single tokens that are not special: kept when special tokens are skipped in decoding.
        named: Attributes of the tokenizer that a processor reads, e.g. `image_token`.
    """

    eos: str
    pad: str
    bos: str | None = None
    markers: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)


LLAMA3 = SpecialTokens(
    bos="<|begin_of_text|>",
    eos="<|eot_id|>",
    pad="<|finetune_right_pad_id|>",
    markers=("<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|python_tag|>"),
)
QWEN2 = SpecialTokens(
    eos="<|im_end|>",
    pad="<|endoftext|>",
    markers=("<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
    words=("<tool_call>", "</tool_call>"),
)
QWEN3 = replace(QWEN2, words=(*QWEN2.words, "<tool_response>", "</tool_response>", "<think>", "</think>"))
GEMMA = SpecialTokens(
    bos="<bos>",
    eos="<eos>",
    pad="<pad>",
    markers=("<unk>", "<start_of_turn>", "<end_of_turn>"),
)
GEMMA3 = replace(
    GEMMA,
    named={"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"},
)
COHERE = SpecialTokens(
    bos="<BOS_TOKEN>",
    eos="<|END_OF_TURN_TOKEN|>",
    pad="<PAD>",
    markers=("<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>", "<EOS_TOKEN>"),
)
COHERE2 = replace(COHERE, markers=(*COHERE.markers, "<|START_RESPONSE|>", "<|END_RESPONSE|>"))
GRANITE = SpecialTokens(
    bos="<|end_of_text|>",
    eos="<|end_of_text|>",
    pad="<|end_of_text|>",
    markers=("<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>"),
)
MISTRAL = SpecialTokens(bos="<s>", eos="</s>", pad="</s>", markers=("<unk>",), words=("[INST]", "[/INST]"))
DEEPSEEK = SpecialTokens(bos="<｜begin▁of▁sentence｜>", eos="<｜end▁of▁sentence｜>", pad="<｜end▁of▁sentence｜>")
PHI = SpecialTokens(bos="<|endoftext|>", eos="<|endoftext|>", pad="<|endoftext|>")
