"""Responses taken apart: content, thinking, and tool calls that say how sure they are."""

from .calls import Region, Response, ToolCall
from .format import THINK, Format, TaggedFormat, Thinking
from .message import to_message
from .parser import Parser
from .pick import pick_format
from .registry import format_names, response_format

__all__ = [
    "THINK",
    "Format",
    "Parser",
    "Region",
    "Response",
    "TaggedFormat",
    "Thinking",
    "ToolCall",
    "format_names",
    "pick_format",
    "response_format",
    "to_message",
]
