"""The tokenizer of conversations that `auto` and `file` answer with: tokens, and a mask that was verified."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from trainwright.errors import ModelError
from trainwright.hooks import TemplateAnswer, Tokens
from trainwright.template.render import ChatTemplate, Message, Renderer, text_tokenizer
from trainwright.template.segments import tokenize_spans
from trainwright.template.spans import Span, marker_spans, prefix_spans, supervised_turns, without_weights
from trainwright.template.stops import stop_tokens, turn_is_stopped
from trainwright.template.verify import verify

_log = logging.getLogger(__name__)
_MARKER = re.compile(r"\{%[-+]?\s*generation\b")


def has_markers(template: ChatTemplate) -> bool:
    """Whether a chat template says itself what the assistant generates (`{% generation %}`)."""
    texts = template.values() if isinstance(template, Mapping) else [template or ""]
    return any(_MARKER.search(text) for text in texts)


class MaskingTokenizer:
    """Turns one conversation into tokens and the mask of what its assistant says.

    Where the template has `{% generation %}` markers, they say what carries loss; else prefix rendering does. Both are
    verified for every conversation.

    Args:
        processing_class: The tokenizer or processor.
        template: The chat template to render with; default the model's own.

    Raises:
        ModelError: Where there is no chat template.
    """

    def __init__(self, processing_class: Any, template: ChatTemplate = None) -> None:
        self.tokenizer = text_tokenizer(processing_class)
        self.template = template or getattr(processing_class, "chat_template", None)
        if not self.template:
            raise ModelError(
                "the model's tokenizer has no chat template, so nothing says how a conversation is written",
                remedy="give one: `template: {name: file, path: my_template.jinja}`, or train on plain `text` or "
                "`prompt` and `completion` without `assistant_only_loss`",
            )
        self.parts = processing_class is not self.tokenizer
        self.stops = stop_tokens(processing_class, self.template)
        self.marked = has_markers(self.template)
        self.stopped = turn_is_stopped(processing_class, self.template)

    def __call__(self, messages: Sequence[Message], tools: Any = None, **variables: Any) -> Tokens:
        """Tokens and mask of one conversation.

        Args:
            messages: The conversation; it ends with an assistant turn. An assistant turn with `weight: 0` is context.
            tools: The tools on offer: JSON schemas, or one JSON string of their list.
            **variables: Further template variables (`enable_thinking`, …).

        Raises:
            DataError: Where the mask cannot be derived and verified.
        """
        tools = json.loads(tools) if isinstance(tools, str) else tools
        render = Renderer(self.tokenizer, self.template, self.parts, tools, variables)
        turns, plain = supervised_turns(messages), without_weights(messages)
        if self.marked:
            text, spans = marker_spans(render, plain, turns)
        else:
            text, spans = prefix_spans(render, plain, turns, self.stops)
        verify(text, spans, plain, turns)
        self._warn_unstopped(text, spans)
        return tokenize_spans(self.tokenizer, text, spans)

    def _warn_unstopped(self, text: str, spans: Sequence[Span]) -> None:
        """Say once that turns end without a stop token."""
        if self.stopped and not text[spans[-1].start : spans[-1].end].rstrip().endswith(tuple(self.stops)):
            self.stopped = False
            _log.warning("an assistant turn ends without a stop token (%s)", ", ".join(self.stops))


def masked_answer(tokenize: MaskingTokenizer, source: str, chat_template: str | None = None) -> TemplateAnswer:
    """The answer of a provider: the tokenizer of conversations, and how its masks come about."""
    how = "{% generation %} markers, verified" if tokenize.marked else "prefix rendering, verified"
    if not tokenize.stopped:
        stops = ", ".join(tokenize.stops) or "none known"
        _log.warning(
            "the chat template ends the assistant's turn without a stop token (%s): the model will not learn to stop",
            stops,
        )
        how += "; turns end without a stop token"
    return TemplateAnswer(chat_template=chat_template, tokenize=tokenize, source=f"{source}: {how}")
