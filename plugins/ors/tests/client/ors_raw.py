"""A small ORS server of our own whose every byte a test can decide, with a record of what it was asked."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from dataclasses import dataclass, field


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: object


@dataclass
class Raw:
    """What it answers is in `answers`, by the path's last segment: a function of the request that gives bytes, or None
    for the usual answer, or an asynchronous generator of bytes, after which the connection is closed.
    """

    answers: dict = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    alive: set[str] = field(default_factory=set)
    ran: list[str] = field(default_factory=list)  # a tool's `input` each time it is executed
    port: int = 0
    connections: int = 0

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait(10)
        return self

    def __exit__(self, *_):
        async def stop():
            self._server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def paths(self):
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def _serve(self, ready):
        asyncio.set_event_loop(self._loop)

        async def start():
            self._server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]
            ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()

    async def _connection(self, reader, writer):
        self.connections += 1
        try:
            while (asked := await _read(reader)) is not None:
                self.asked.append(asked)
                if not await self._answer(asked, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, asked, writer):
        scripted = self.answers.get(asked.path.rpartition("/")[2])
        said = scripted(asked) if scripted else None
        if hasattr(said, "__aiter__"):
            async for piece in said:
                writer.write(piece)
                await writer.drain()
            return False
        writer.write(said if said is not None else self._usual(asked))
        await writer.drain()
        return True

    def _usual(self, asked):
        sid = asked.headers.get("x-session-id", "")
        match asked.path.rpartition("/")[2]:
            case "list_environments":
                return reply(["mathenv"])
            case "tools" | "task_tools":
                return reply({"tools": [{"name": "add", "description": "", "input_schema": None}]})
            case "create_session":
                return stream(event("task_id", str(uuid.uuid4())), event("end", ""))
            case "create":
                self.alive.add(sid)
                return reply({"sid": sid})
            case "delete":
                self.alive.discard(sid)
                return reply({"sid": sid})
            case "delete_session" | "ping":
                return reply({})
            case "prompt":
                return reply([{"type": "text", "text": "hello"}])
            case "call":
                self.ran.append(json.dumps(asked.body["input"]))
                return stream(event("task_id", "t1"), event("end", ok("done")))
        return reply({"detail": "Not Found"}, 404)


async def _read(reader):
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first:
        return None
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, path, _ = first.split(" ")
    return Asked(method, path, headers, json.loads(body) if body else None)


def head(status=200, kind="text/event-stream", **headers):
    """The beginning of an answer whose body ends with the connection."""
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{extra}\r\n".encode()


def reply(value, status=200, kind="application/json", **headers):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return head(status, kind, content_length=len(body), **headers) + body


def event(name, data):
    lines = "".join(f"data: {line}\r\n" for line in data.split("\n"))
    return f"event: {name}\r\n{lines}\r\n".encode()


def stream(*events):
    return reply(b"".join(events), kind="text/event-stream")


def ok(text, **output):
    blocks = [{"type": "text", "text": text, "detail": None}]
    return json.dumps({"ok": True, "output": {"blocks": blocks, "reward": None, "finished": False, **output}})
