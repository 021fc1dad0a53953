"""Plain requests to a server, as the cases need them: nothing is retried but what a starting session asks for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx

from trainwright_ors.client.sse import Event, SseParser

_LARGEST = 1 << 26  # bytes of one event


@dataclass
class Probe:
    """A server under test.

    Attributes:
        http: Bound to its URL; follows no redirects.
        named: The environment asked for; None for the first.
        of_split: The split asked for; None for the first.
        timeout: Seconds for one request.
        sids: The sessions to end.
    """

    http: httpx.Client
    named: str | None
    of_split: str | None
    timeout: float
    sids: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def at(
        cls, url: str, environment: str | None, split: str | None, key: str | None, timeout: float
    ) -> Iterator[Probe]:
        """A probe whose sessions are ended with the block."""
        headers = {"X-API-Key": key} if key else {}
        secure = url.lower().startswith("https:")  # without, no certificates need to be read
        with httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False, verify=secure) as http:
            probe = cls(http, environment, split, timeout)
            try:
                yield probe
            finally:
                for sid in probe.sids:
                    probe.post("/delete", sid=sid)

    @cached_property
    def environment(self) -> str:
        """The environment's name, as listed."""
        return self.named or str(self.get("/list_environments").json()[0])

    @cached_property
    def split(self) -> str:
        """The split's name."""
        return self.of_split or str(self.get(self.path("splits")).json()[0]["name"])

    def path(self, last: str) -> str:
        """A path of the environment."""
        return f"/{self.environment}/{last}"

    def get(self, path: str, sid: str | None = None) -> httpx.Response:
        """GET; waits where the session is still starting."""
        return self._ready(lambda: self.http.get(path, headers=_headers(sid)))

    def post(self, path: str, body: object = None, sid: str | None = None) -> httpx.Response:
        """POST; waits where the session is still starting."""
        sent: dict[str, Any] = {} if body is None else {"json": body}
        return self._ready(lambda: self.http.post(path, headers=_headers(sid), **sent))

    def _ready(self, send: Any) -> httpx.Response:
        end = time.monotonic() + self.timeout
        while True:
            response: httpx.Response = send()
            starting = response.status_code == 503 and "x-backend-state" in response.headers
            if not starting or time.monotonic() > end:
                return response
            time.sleep(0.5)

    def of_tasks(self, last: str, **body: object) -> httpx.Response:
        """POST about the split's tasks."""
        return self.post(self.path(last), {"split": self.split, **body})

    def number(self) -> int:
        """How many tasks the split has."""
        return int(self.of_tasks("num_tasks").json()["num_tasks"])

    def new_sid(self) -> str:
        """A session id of the server's making, or, where `/create_session` gives none, of our own."""
        events = parse(self.post("/create_session", {}).content)
        return next((event.data for event in events if event.name == "task_id"), None) or str(uuid.uuid4())

    def create(self, sid: str, **body: object) -> httpx.Response:
        """POST /create."""
        self.sids.append(sid)
        return self.post("/create", {"env_name": self.environment, **body}, sid)

    def open(self, **source: object) -> str:
        """A session, by default for the split's first task."""
        sid = self.new_sid()
        response = self.create(sid, **(source or {"split": self.split, "index": 0}))
        assert response.status_code == 200, f"no session could be created: {response.status_code} {response.text[:200]}"
        return sid

    def call(self, sid: str, name: str, given: object, task_id: str | None = None) -> list[Event]:
        """The events of a call's stream."""
        body = {"name": name, "input": given, **({"task_id": task_id} if task_id else {})}
        response = self.post(self.path("call"), body, sid)
        assert response.status_code == 200, f"/call answered {response.status_code} {response.text[:200]}"
        return parse(response.content)


def parse(stream: bytes) -> list[Event]:
    """The events of a whole stream."""
    return SseParser(_LARGEST).feed(stream)


def result(events: list[Event]) -> str:
    """The JSON that a stream gives, put together."""
    return "".join(event.data for event in events if event.name in ("chunk", "end"))


def _headers(sid: str | None) -> dict[str, str]:
    return {} if sid is None else {"X-Session-ID": sid}
