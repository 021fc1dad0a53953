"""The provider `derived` of `chat_template`: masks of any model's own template, verified, or a refusal that says why.

It resolves once a run (`resolve`): a family's entry, a generated training template, renderings alone, or a refusal.
Whatever knows the template, every conversation's mask is derived from how that conversation renders, and verified: a
training template's is verified on probe conversations only, so it serves where masks cannot be derived (rows with
images, other programs).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainwright.hooks import PluginSettings, TemplateAnswer, TemplateRequest, hookimpl

Policy = Literal["report", "refuse"]


class Settings(PluginSettings):
    """Keys beside `name: derived`."""

    prefill: bool = Field(False, description="Whether a thought that the prompt opens (`<think>`) carries loss too.")
    family: str | None = Field(None, description="The family that the template belongs to; default: recognised.")
    stop: tuple[str, ...] = Field((), description="Texts of tokens that end a turn, before those of the model's files.")
    response: str | None = Field(None, description="The format of responses; default: found, or the family's.")
    reasoning: Policy = Field("report", description="What to do with conversations whose reasoning is dropped.")
    content: Policy = Field("report", description="What to do with conversations whose content is dropped.")
    unstopped: Policy = Field("report", description="What to do where a turn ends without a stop token.")
    generate: bool = Field(True, description="Whether to make a training template with generation markers.")
    cache: bool = Field(True, description="Whether training templates are kept in the user's cache.")


@hookimpl
def chat_template(request: TemplateRequest) -> TemplateAnswer:
    """Keep the model's template; derive masks, prompts and tool results from it, and read its responses.

    Raises:
        ModelError: There is no template, or masks of probe conversations cannot be verified.
        ConfigError: `family` or `response` names nothing that is installed.
    """
    from trainwright_templates.answer import answer

    return answer(request)
