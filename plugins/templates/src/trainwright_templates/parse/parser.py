"""The parser: a format, the tools of the conversation, and the text that a model has written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .calls import Response
from .format import Format
from .registry import response_format
from .source import Source
from .tools import Tools

# What ends a turn, in the families whose formats are here. A model's own stop tokens are passed as `stops`.
STOPS = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|eom|>", "<|end_of_text|>", "<|endoftext|>", "</s>",
    "<|end|>",
    "<|return|>", "<|call|>", "<end_of_turn>", "<turn|>", "<|tool_response>", "<|END_OF_TURN_TOKEN|>", "[e~[",
    "<｜end▁of▁sentence｜>", "<|user|>", "<|observation|>", "<seed:eos>", "[|endofturn|]",
    "<end_of_sentence>", "<｜hy_eos:opensource｜>", "<|stop|>", "<|end_of_msg|>",
)  # fmt: skip


class Parser:
    """Takes responses apart; never raises, whatever the text.

    Args:
        format: A format or the name of an installed one.
        tools: The tools as `apply_chat_template` takes them: they type parameters that a format writes as plain text
            and tell a call from text that looks like one.
        stops: Further stop tokens, taken off the text's end.

    Raises:
        PluginError: No installed format has that name.
    """

    def __init__(
        self,
        format: Format | str,
        tools: Iterable[Mapping[str, Any] | Callable[..., Any]] | None = None,
        *,
        stops: Sequence[str] = (),
    ) -> None:
        self.format = response_format(format) if isinstance(format, str) else format
        self.tools = Tools(tools)
        self.stops = tuple(stop for stop in dict.fromkeys((*stops, *STOPS)) if stop)

    def __call__(self, text: str, *, prefix: str = "") -> Response:
        """Take one response apart.

        Args:
            text: What the model has written, special tokens included.
            prefix: The prompt, or its end from the assistant's header on: it says whether thinking is open already.
                Nothing of it appears in the answer.
        """
        bare = self.without_stops(text)
        return self.format.scan(Source(bare, ended=len(bare) < len(text)), self.tools, prefix)

    def without_stops(self, text: str) -> str:
        """The text without the stop tokens at its end and the line breaks around them."""
        end = len(text)
        while True:
            bare = len(text[:end].rstrip()) if text[max(0, end - 1) : end].isspace() else end
            stop = next((stop for stop in self.stops if text.endswith(stop, 0, bare)), None)
            if stop is None:
                return text[:end]
            end = bare - len(stop)
