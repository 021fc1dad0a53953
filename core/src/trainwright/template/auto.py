"""The provider `auto` of `chat_template`: the model's own template, and a verified mask where one is asked.

* No assistant-only loss asked: TRL renders and tokenises.
* The template has `{% generation %}` markers: what they enclose carries loss.
* Else a turn's span is found by rendering the conversation up to it (prefix rendering).

Nothing is guessed: a conversation whose mask does not verify is refused, with both renders.
"""

from __future__ import annotations

from trainwright.hooks import TemplateAnswer, TemplateRequest, hookimpl


@hookimpl
def chat_template(request: TemplateRequest) -> TemplateAnswer:
    """Keep the model's template; derive the mask where only what the assistant says may carry loss.

    Raises:
        ModelError: Where a mask is asked and the model has no chat template.
    """
    if not request.assistant_only:
        return TemplateAnswer(source="auto: the model's own template, tokenised by TRL")
    from trainwright.template.mask import MaskingTokenizer, masked_answer

    return masked_answer(MaskingTokenizer(request.processing_class), "auto")
