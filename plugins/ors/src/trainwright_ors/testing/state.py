"""What a `FakeServer` knows: environments, sessions and calls."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainwright_ors.client.types import Generation
from trainwright_ors.testing.environment import FakeEnvironment, Task
from trainwright_ors.testing.streams import Calls


@dataclass
class FakeSession:
    """A session.

    Attributes:
        environment: Its environment.
        task: The task's specification.
        secrets: What the client handed over by the channel that this generation reads.
        heard: When it was last heard of.
        finished: Whether a tool has ended the episode.
        deleted: Whether it was ended.
        ready: Set when the setup has ended, well or not, or the session was deleted.
        locks: By tool: servers of openreward's kind run the calls of one tool one by one.
    """

    environment: FakeEnvironment
    task: Task
    secrets: Mapping[str, str] = field(repr=False)
    heard: float = field(default_factory=time.monotonic)
    finished: bool = False
    deleted: bool = False
    ready: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock), repr=False)

    async def begin(self) -> None:
        """Run the setup."""
        await asyncio.sleep(self.environment.setup)
        self.ready.set()


@dataclass
class State:
    """All of it.

    Attributes:
        environments: The first is the default.
        generation: Whose behaviour the server has.
        ttl: Seconds that a session lives without being heard of.
        setup_wait: Seconds until a request that waits for a setup is told to come again (openreward).
    """

    environments: list[FakeEnvironment]
    generation: Generation
    ttl: float
    setup_wait: float
    calls: Calls = field(default_factory=Calls)
    executions: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    opened: int = 0
    _sessions: dict[str, FakeSession] = field(default_factory=dict)
    _setups: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def modern(self) -> bool:
        """Whether it is of openreward's kind."""
        return self.generation == "openreward"

    def environment(self, name: str) -> FakeEnvironment | None:
        """The environment of a name, in whatever case."""
        return next((each for each in self.environments if each.name.lower() == name.lower()), None)

    def alive(self) -> dict[str, FakeSession]:
        """The sessions that were heard of lately enough; the others are dropped."""
        limit = time.monotonic() - self.ttl
        self._sessions = {sid: session for sid, session in list(self._sessions.items()) if session.heard > limit}
        return dict(self._sessions)

    def session(self, sid: str) -> FakeSession | None:
        """A session that is alive, which this keeps so."""
        session = self.alive().get(sid)
        if session:
            session.heard = time.monotonic()
        return session

    def create(self, sid: str, session: FakeSession) -> None:
        """Add a session, whose setup begins."""
        self._sessions[sid] = session
        self.opened += 1
        setup = asyncio.ensure_future(session.begin())
        self._setups.add(setup)
        setup.add_done_callback(self._setups.discard)

    def delete(self, sid: str) -> None:
        """Drop a session, where there is one."""
        if session := self._sessions.pop(sid, None):
            session.deleted = True
            session.ready.set()
