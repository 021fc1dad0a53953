"""The tokens that end an assistant's turn."""

from __future__ import annotations

from typing import Any

from trainwright.errors import DataError
from trainwright.template.render import ChatTemplate, Renderer, text_tokenizer

_ANSWER = "Answer"


def stop_tokens(processing_class: Any, template: ChatTemplate = None) -> list[str]:
    """The texts of the tokens that end a turn: the tokenizer's end of sequence, and what the template writes.

    What the template writes is found by rendering a short conversation: the special token straight behind the answer
    (`<end_of_turn>` for Gemma, whose tokenizer's end of sequence is `<eos>`).

    Args:
        processing_class: A tokenizer or processor.
        template: A chat template; default the tokenizer's or processor's own, if it has any.
    """
    tokenizer = text_tokenizer(processing_class)
    stops = [tokenizer.eos_token] if tokenizer.eos_token else []
    template = template or getattr(processing_class, "chat_template", None)
    if template:
        tail = _tail(Renderer(tokenizer, template, parts=processing_class is not tokenizer))
        special = [str(token) for token in tokenizer.added_tokens_decoder.values()]
        stops += [token for token in special if tail.startswith(token)]
    return list(dict.fromkeys(stops))


def turn_is_stopped(processing_class: Any, template: ChatTemplate = None) -> bool:
    """Whether the chat template writes a stop token behind an answer; without one a model does not learn to stop."""
    tokenizer = text_tokenizer(processing_class)
    render = Renderer(tokenizer, template or processing_class.chat_template, parts=processing_class is not tokenizer)
    return _tail(render).startswith(tuple(stop_tokens(processing_class, template)))


def _tail(render: Renderer) -> str:
    """What the template writes behind the last answer of a conversation; nothing where it rejects the probe."""
    try:
        text = render([{"role": "user", "content": "Question"}, {"role": "assistant", "content": _ANSWER}])
    except DataError:
        return ""
    return text.rpartition(_ANSWER)[2].lstrip()
