"""Prompts and completions of DPO and KTO tokenised by the chat template's provider, where it offers to.

TRL tokenises prompt, and prompt with completion, and cuts where they part. A template that writes the past otherwise
than the present, or a token that spans the boundary, costs the prompt its end there. The provider's tokens are cut at
the boundary by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainwright.trainer.private import replaced

if TYPE_CHECKING:
    from trainwright.trainer.hooked import Binding

NAME = "_tokenize"
"""What TRL's modules of DPO and KTO call to tokenise."""


@dataclass(frozen=True)
class ConversationTokens:
    """Stands in for TRL's function; picklable, so that `datasets` can hash it and hand it to its processes.

    Attributes:
        tokenize: The provider's `TemplateAnswer.tokenize`.
        prompt: Its `TemplateAnswer.prompt`.
        otherwise: TRL's function, for plain text.
    """

    tokenize: Callable[..., Any]
    prompt: Callable[..., list[int]]
    otherwise: Callable[..., Mapping[str, Any]]

    def __call__(self, processing_class: Any, said: Any, **named: Any) -> Mapping[str, Any]:
        """Tokens of a prompt or of a conversation, `{"input_ids": [S]}`.

        Raises:
            DataError: The provider refuses the conversation.
        """
        if not isinstance(said, Sequence) or isinstance(said, str):
            return self.otherwise(processing_class, said, **named)
        of_prompt = named.pop("add_generation_prompt", False)
        tools = named.pop("tools", None)
        if of_prompt:
            return {"input_ids": self.prompt(said, tools, **named)}
        return {"input_ids": self.tokenize(_last_alone(said), tools, **named).input_ids}


def _last_alone(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Only the last turn need be learnable: what stands before it is, for the mask, all prompt."""
    before = [{**each, "weight": 0} if each.get("role") == "assistant" else each for each in messages[:-1]]
    return [*before, *messages[-1:]]


@contextmanager
def tokenized_by(binding: Binding) -> Iterator[None]:
    """While TRL prepares pairs, or rows with thumbs: the provider tokenises their conversations.

    Args:
        binding: What the run binds.
    """
    answer = binding.template
    if answer.tokenize is None or answer.prompt is None:
        yield
        return
    tokenize, prompt = answer.tokenize, answer.prompt
    with replaced(binding.method, {NAME: lambda own: ConversationTokens(tokenize, prompt, own)}):
        yield
