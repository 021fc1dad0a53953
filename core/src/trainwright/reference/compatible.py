"""Does a reference read the same tokens as the policy? Told from configs and tokenizers, before weights are loaded."""

from __future__ import annotations

import logging
from typing import Any

from trainwright.config.models import RunConfig
from trainwright.errors import ModelError
from trainwright.model.reading import reading
from trainwright.model.source import Source

_log = logging.getLogger(__name__)


def check_reference(config: RunConfig, processing_class: Any) -> None:
    """Refuse a reference whose token ids do not mean what the policy's mean.

    Args:
        config: The run's config; nothing is checked where it names no reference, or the policy's model.
        processing_class: The policy's tokenizer or processor.

    Rows that a model has beyond its tokenizer's last token are padding (Qwen2.5 has 151,936 rows at 0.5B and 152,064 at
    7B, with one tokenizer): they may differ in number where the tokenizers are the same.

    Raises:
        ModelError: Vocabularies of different size or content, or a reference that is not there.
    """
    section = config.reference
    if section is None or (section.path, section.revision) == (config.model.path, config.model.revision):
        return
    where = config.where("reference.path")
    own, other = vocabulary_size(Source(config.model, config)), vocabulary_size(Source(section, config))
    theirs = _vocabulary(_tokenizer(Source(section, config)))
    mine = _vocabulary(processing_class)
    if own != other and (theirs is None or max(theirs.values()) >= min(own, other)):
        _refuse(f"its vocabulary has {other:,} tokens, the policy's has {own:,}", section.path, where)
    if theirs is not None and theirs != mine:
        token = min(mine.items() ^ theirs.items(), key=lambda item: item[1])[0]
        _refuse(
            f"its tokenizer has {len(theirs):,} tokens, the policy's has {len(mine):,}, and they differ: {token!r} is "
            f"{_id(theirs, token)} in the reference and {_id(mine, token)} in the policy",
            section.path,
            where,
        )


def _refuse(why: str, path: str, where: str) -> None:
    remedy = "A reference scores the policy's tokens: give a model that was made with the same tokenizer."
    raise ModelError(f"`{path}` cannot be the reference: {why}", where=where, remedy=remedy)


def _id(vocabulary: dict[str, int], token: str) -> str:
    return f"token {vocabulary[token]}" if token in vocabulary else "no token"


def vocabulary_size(source: Source) -> int:
    """The size of a model's vocabulary, by its config."""
    from transformers import AutoConfig

    with reading("config", source.section.path, source.where):
        return int(AutoConfig.from_pretrained(source.path, **source.identity).get_text_config().vocab_size)


def _tokenizer(source: Source) -> Any:
    """A reference's tokenizer; None where it came without one."""
    from transformers import AutoTokenizer

    try:
        with reading("tokenizer", source.section.path, source.where):
            return AutoTokenizer.from_pretrained(source.path, **source.identity)
    except ModelError as error:
        _log.warning("the reference's tokenizer is not compared with the policy's: %s", error.problems[0].message)
        return None


def _vocabulary(processing_class: Any) -> Any:
    """Token → id of a tokenizer, or of a processor's; None of nothing."""
    tokenizer = getattr(processing_class, "tokenizer", processing_class)
    return None if tokenizer is None else tokenizer.get_vocab()
