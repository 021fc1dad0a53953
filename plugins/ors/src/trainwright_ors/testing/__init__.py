"""For tests of what uses ORS environments: a server of your own making, faults on demand, and a proxy that cuts.

from trainwright_ors.testing import FakeEnvironment, FakeServer, FakeTool, faults

add = FakeTool("add", lambda given: str(given["a"] + given["b"]))
with FakeServer([FakeEnvironment("mathenv", tools=[add], tasks={"train": [{"n": 1}]})]) as server:
    server.inject("call", faults.status(503), times=1)
    ...  # train against server.url
    assert not server.sessions
"""

from trainwright_ors.testing import faults
from trainwright_ors.testing.environment import FakeEnvironment, FakeTool, Output, image, text
from trainwright_ors.testing.http import Cut, Reply, Request
from trainwright_ors.testing.proxy import CuttingProxy
from trainwright_ors.testing.server import FakeServer

__all__ = [
    "Cut",
    "CuttingProxy",
    "FakeEnvironment",
    "FakeServer",
    "FakeTool",
    "Output",
    "Reply",
    "Request",
    "faults",
    "image",
    "text",
]
