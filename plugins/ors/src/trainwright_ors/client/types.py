"""What servers answer, checked: environments, splits, tools, blocks and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Generation = Literal["ors", "openreward"]


@dataclass(frozen=True)
class ServerInfo:
    """What a server is.

    Attributes:
        generation: `ors` (ors-sdk and others of its kind) or `openreward`.
        version: What it says its version is; empty where it says none.
        environments: Their names, the default first.
    """

    generation: Generation
    version: str
    environments: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """A split of an environment's tasks.

    Attributes:
        name: Its name, as requests give it.
        type: `train`, `validation` or `test`.
    """

    name: str
    type: str


@dataclass(frozen=True)
class ToolSpec:
    """A tool as the server describes it, verbatim.

    Attributes:
        name: Any string.
        description: May be empty.
        input_schema: JSON Schema of the input. A boolean schema stands as it is; None where the tool takes nothing.
    """

    name: str
    description: str
    input_schema: Mapping[str, Any] | bool | None


@dataclass(frozen=True)
class TerminalTool:
    """The tool that the harness calls with the model's first plain message; models do not see it.

    Attributes:
        name: Its name.
        arg: The argument that takes the message; None where it takes nothing.
        description: May be empty.
    """

    name: str
    arg: str | None
    description: str


@dataclass(frozen=True)
class Toolset:
    """The tools of an environment or of a task.

    Attributes:
        tools: In the server's order.
        terminal: The terminal tool, where there is one.
    """

    tools: tuple[ToolSpec, ...]
    terminal: TerminalTool | None = None


@dataclass(frozen=True)
class TextBlock:
    """Text of a prompt or a result."""

    text: str


@dataclass(frozen=True)
class ImageBlock:
    """An image of a prompt or a result.

    Attributes:
        data: The file's bytes, decoded from base64 and not looked into.
        mime_type: As the server says.
    """

    data: bytes = field(repr=False)
    mime_type: str


Block = TextBlock | ImageBlock


@dataclass(frozen=True)
class ToolResult:
    """What a tool returned.

    Attributes:
        blocks: Text and images; blocks of kinds that are not known are left out. May be empty.
        reward: The reward of this call; None where there is none, or none that is finite.
        finished: Whether the episode is over.
        metadata: The server's own; empty where it gives none.
        seconds: Wall time of the call, resumptions included.
        resumed: How often the call's stream was lost and found again.
    """

    blocks: tuple[Block, ...]
    reward: float | None
    finished: bool
    metadata: Mapping[str, Any]
    seconds: float = field(default=0.0, compare=False)
    resumed: int = field(default=0, compare=False)
