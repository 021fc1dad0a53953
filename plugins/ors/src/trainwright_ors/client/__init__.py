"""A client of the Open Reward Standard: sessions and tools over HTTP, for both generations of servers.

    from trainwright_ors.client import Client, run

    client = Client("http://localhost:8000")
    session = run(client.open("mathenv", split="train", index=0))
    result = run(session.call("add", {"a": 2, "b": 3}))
    run(session.close())

All coroutines run on one background loop of the process: `run` waits for them from plain code; from a loop of your own
they are awaited as usual.
"""

from trainwright_ors.client.client import Client
from trainwright_ors.client.closing import close_all
from trainwright_ors.client.deadlines import Deadlines, Limits
from trainwright_ors.client.errors import (
    Deadline,
    EnvironmentFailed,
    HttpRefused,
    OrsError,
    OutcomeUnknown,
    Place,
    ProtocolError,
    SessionGone,
    ToolFailed,
    Unreachable,
)
from trainwright_ors.client.loop import iterate, run
from trainwright_ors.client.origin import HOSTED
from trainwright_ors.client.session import Session
from trainwright_ors.client.types import (
    Block,
    Generation,
    ImageBlock,
    ServerInfo,
    Split,
    TerminalTool,
    TextBlock,
    ToolResult,
    Toolset,
    ToolSpec,
)

__all__ = [
    "HOSTED",
    "Block",
    "Client",
    "Deadline",
    "Deadlines",
    "EnvironmentFailed",
    "Generation",
    "HttpRefused",
    "ImageBlock",
    "Limits",
    "OrsError",
    "OutcomeUnknown",
    "Place",
    "ProtocolError",
    "ServerInfo",
    "Session",
    "SessionGone",
    "Split",
    "TerminalTool",
    "TextBlock",
    "ToolFailed",
    "ToolResult",
    "ToolSpec",
    "Toolset",
    "Unreachable",
    "close_all",
    "iterate",
    "run",
]
