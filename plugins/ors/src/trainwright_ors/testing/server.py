"""A server of our own with what both generations of ORS servers do, on loopback, in this process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from trainwright_ors.client.types import Generation
from trainwright_ors.testing.environment import FakeEnvironment
from trainwright_ors.testing.faults import Fault, Handler
from trainwright_ors.testing.http import Cut, MalformedRequestError, Reply, Request, read_request, write_reply
from trainwright_ors.testing.routes import Routes
from trainwright_ors.testing.state import FakeSession, State
from trainwright_ors.testing.threads import Listening


class FakeServer(Listening):
    """An ORS server; `with FakeServer([...]) as server:` runs it, and `server.url` is where.

    Args:
        environments: The first is the default.
        generation: Whose behaviour it has: `ors` (ors-sdk) or `openreward`.
        ttl: Seconds that a session lives without being heard of.
        linger: Seconds that the result of a call can be asked for again.
        pings: Seconds between comments on a call's stream.
        setup_wait: Seconds after which a server of openreward's kind answers that a session is still starting.

    Attributes:
        requests: All that was asked, in order.
    """

    def __init__(
        self,
        environments: Sequence[FakeEnvironment] = (),
        *,
        generation: Generation = "openreward",
        ttl: float = 900.0,
        linger: float = 60.0,
        pings: float = 10.0,
        setup_wait: float = 25.0,
    ) -> None:
        super().__init__()
        self._state = State(list(environments) or [FakeEnvironment()], generation, ttl, setup_wait)
        self._state.calls.linger, self._state.calls.pings = linger, pings
        self._routes = Routes(self._state)
        self._faults: list[tuple[str, Fault, list[float]]] = []
        self.requests: list[Request] = []

    @property
    def sessions(self) -> dict[str, FakeSession]:
        """The sessions that are alive, by their ids."""
        return self._state.alive()

    @property
    def opened(self) -> int:
        """How many sessions were ever created."""
        return self._state.opened

    @property
    def executions(self) -> list[tuple[str, dict[str, Any]]]:
        """Every execution of a tool, with its input, in order; a resumed call is not one."""
        return list(self._state.executions)

    def executed(self, name: str) -> int:
        """How often a tool was executed."""
        return Counter(tool for tool, _ in self._state.executions)[name]

    def inject(self, endpoint: str, fault: Fault, *, times: float = float("inf"), skip: int = 0) -> None:
        """Have requests to an endpoint go wrong; of several faults the first that is not used up applies.

        Args:
            endpoint: The path's last part: `call`, `create`, `prompt`, `list_environments`, …; `*` for all.
            fault: See `trainwright_ors.testing.faults`.
            times: How many requests.
            skip: How many are answered rightly before.
        """
        self._faults.append((endpoint, fault, [float(skip), times]))

    def heal(self) -> None:
        """Take all faults back."""
        self._faults.clear()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                self.requests.append(request)
                await write_reply(writer, await self._answer(request))
        except MalformedRequestError as error:
            await write_reply(writer, Reply.error(400, str(error)))
        except Cut:
            writer.transport.close()  # what was said before it arrives; the rest never does

    async def _answer(self, request: Request) -> Reply:
        usual: Handler = self._routes.answer
        fault = self._fault(request)
        return await (fault(request, usual) if fault else usual(request))

    def _fault(self, request: Request) -> Fault | None:
        last = request.segments[-1] if request.segments else ""
        for endpoint, fault, left in self._faults:
            if endpoint not in ("*", last):
                continue
            if left[0] > 0:
                left[0] -= 1
                continue
            if left[1] > 0:
                left[1] -= 1
                return fault
        return None
