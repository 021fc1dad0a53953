"""The real servers, each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

KINDS = {"ors": "ors", "openreward": "openreward"}  # of servers, to the package that each is
REQUIRED = "TRAINWRIGHT_ORS_SERVERS"  # set by nox: where a package is missing, fail and do not skip


@dataclass
class RealServer:
    """A running server of one kind; a context manager that ends it.

    Args:
        kind: `ors` or `openreward`.
        ttl: Seconds that a session lives without being heard of; None for the SDK's own 900.
    """

    kind: str
    ttl: float | None = None

    def __enter__(self) -> RealServer:
        need(self.kind)
        self._folder = tempfile.TemporaryDirectory()
        self.journal = Path(self._folder.name) / "journal.jsonl"
        self.journal.touch()
        program = Path(__file__).with_name("ors_environments.py")
        words = [sys.executable, str(program), self.kind, str(self.journal), *([str(self.ttl)] if self.ttl else [])]
        self._errors = (Path(self._folder.name) / "stderr").open("w+b")
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=_plain()
        )
        assert self.process.stdout is not None
        if not (port := self.process.stdout.readline()):
            self._errors.seek(0)
            raise RuntimeError(f"the server did not start: {self._errors.read().decode()[-2000:]}")
        self.url = f"http://127.0.0.1:{int(port)}"
        self._await()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self._errors.close()
        self._folder.cleanup()

    def _await(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=5).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def events(self, kind: str | None = None) -> list[dict]:
        """What has happened on the server, in order; of one kind, or all."""
        lines = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return [line for line in lines if kind in (None, line["event"])]

    def executions(self) -> Counter[str]:
        """How often `mathenv`'s tool `once` was executed, by the nonce it was given."""
        return Counter(event["nonce"] for event in self.events("once"))

    def alive(self) -> int:
        """How many sessions whose setup began have not been torn down."""
        begun, ended = ({event["id"] for event in self.events(kind)} for kind in ("setup", "teardown"))
        return len(begun - ended)

    def all_gone(self, within: float = 10.0) -> bool:
        """Whether no session is left, at the latest after so many seconds."""
        end = time.monotonic() + within
        while self.alive() and time.monotonic() < end:
            time.sleep(0.05)
        return not self.alive()


def need(kind: str) -> None:
    """Skip a test that needs an SDK which is not installed; fail it where the SDKs have to be."""
    package = KINDS[kind]
    if importlib.util.find_spec(package) is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{package} is not installed, and {REQUIRED} says that it has to be")
        pytest.skip(f"{package} is not installed")


def _plain() -> dict[str, str]:
    """The environment without keys, tracing and proxies: a server on loopback needs none."""
    hidden = ("OPENREWARD", "OTEL_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(hidden)}
