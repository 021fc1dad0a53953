"""What the provider answers: everything that is known of a model's template, as functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from trainwright.errors import ModelError
from trainwright.hooks import TemplateAnswer, TemplateReport, TemplateRequest
from trainwright_templates.conversations import Conversations
from trainwright_templates.parse import Format, Parser, to_message
from trainwright_templates.resolve import Resolution, resolve
from trainwright_templates.shapes import shapes


def answer(request: TemplateRequest) -> TemplateAnswer:
    """Resolve the model's template. See `derived.chat_template`."""
    processing = request.processing_class
    if not getattr(processing, "chat_template", None):
        raise ModelError(
            "the model's tokenizer has no chat template, so nothing says how a conversation is written",
            remedy="give one: `template: {name: file, path: my_template.jinja}`",
        )
    template = Conversations(processing, request.settings, ()).template()
    found = resolve(template, request.settings, request.stops)
    # Rows with images are tokenised by TRL's collator, which asks the processor's own template for markers.
    marked = bool(request.assistant_only and found.training and hasattr(processing, "tokenizer"))
    conversations = Conversations(processing, request.settings, found.stops, marked)
    masks = request.assistant_only or request.method != "sft"
    return TemplateAnswer(
        chat_template=found.training if marked else None,
        tokenize=conversations if masks else None,
        source=f"derived: {found.step}",
        prompt=conversations.prompt,
        training_template=found.training,
        parse=Reader(found.format, found.stops) if found.format else None,
        tool_suffix=conversations.tool_suffix,
        report=TemplateReport(found.step, (*found.reasons, *_uses(found, masks, marked)), shapes),
    )


def _uses(found: Resolution, masks: bool, marked: bool) -> Iterator[str]:
    """What this run does with what was found."""
    if masks:
        yield "masks: derived from the rendering of each conversation, and verified for each"
    else:
        yield "masks: none are asked, so TRL tokenises"
    if marked:
        yield "rows with images: masked by the training template's markers, which are verified on probe conversations"
    elif found.training:
        yield "the training template is for `template export`: this run does not use it"
    yield f"responses: {found.format.name}" if found.format else "responses: no format reads what it renders"


class Reader:
    """Reads what a model wrote as an assistant message; never raises.

    Args:
        format: How its responses are written.
        stops: Texts of the tokens that end a turn.
    """

    def __init__(self, format: Format, stops: Sequence[str]) -> None:
        self.format, self.stops = format, tuple(stops)

    def __call__(self, text: str, *, tools: Sequence[Any] | None = None, prefix: str = "") -> dict[str, Any]:
        """The message: `role`, `content`, and where there are any `reasoning_content` and `tool_calls`.

        Args:
            text: What the model wrote, special tokens included.
            tools: The tools on offer, as JSON schemas.
            prefix: The prompt.
        """
        return to_message(Parser(self.format, tools, stops=self.stops)(text, prefix=prefix))
