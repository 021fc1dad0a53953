"""Environments of every kind, served by a real SDK: `python ors_environments.py ors|openreward JOURNAL [TTL]`.

The server prints its port, and ends when its standard input does. What tools, setups and teardowns do is written to the
journal, one JSON object a line, so that tests count executions and sessions by what happened and not by what was said.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import importlib
import json
import logging
import os
import socket
import sys
import threading
import time
import uuid
from types import FunctionType
from typing import Literal

from pydantic import BaseModel, Field

KIND = os.environ.get("ORS_KIND") or sys.argv[1]
JOURNAL = os.environ.get("ORS_JOURNAL") or sys.argv[2]
SDK = importlib.import_module("ors" if KIND == "ors" else "openreward.environments")
Environment, TextBlock, ImageBlock, ToolOutput, tool = (
    getattr(SDK, name) for name in ("Environment", "TextBlock", "ImageBlock", "ToolOutput", "tool")
)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


def journal(event: str, **what: object) -> None:
    """Append one line; whole even where several threads do."""
    with open(JOURNAL, "ab", buffering=0) as file:
        file.write(json.dumps({"event": event, **what}).encode() + b"\n")


def text(value: str, **output: object) -> ToolOutput:
    """What a tool returns, with one block of text."""
    return ToolOutput(blocks=[TextBlock(text=value)], **{"reward": None, "finished": False, **output})


class Base(Environment):
    """Five tasks to train on and two to test on; the session's beginning and end are in the journal."""

    counts = {"train": 5, "hard": 2}  # noqa: RUF012 (read-only)

    def __init__(self, task_spec={}, secrets={}):  # noqa: B006 (as the SDKs have it)
        super().__init__(task_spec, secrets)
        self.secrets = secrets

    @classmethod
    def list_splits(cls):
        return ["train" if name == "train" else SDK.Split(name=name, type="test") for name in cls.counts]

    @classmethod
    def list_tasks(cls, split):
        return [cls.task(split, index) for index in range(cls.counts[split])]

    @classmethod
    def task(cls, split, index):
        return {"split": split, "number": index}

    def setup(self):
        self.id = uuid.uuid4().hex
        journal("setup", environment=type(self).__name__.lower(), id=self.id, task=self.task_spec)

    def teardown(self):
        journal("teardown", environment=type(self).__name__.lower(), id=self.id)

    async def prepare(self, seconds):
        """A setup that takes a while; where it is cancelled, ors-sdk does not call `teardown`."""
        Base.setup(self)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.teardown()
            raise

    def get_prompt(self):
        return [TextBlock(text=f"Task {json.dumps(self.task_spec, sort_keys=True)}")]


class Pair(BaseModel):
    """Two numbers."""

    a: int
    b: int = 1


class Answer(BaseModel):
    """An answer."""

    answer: str


class Once(BaseModel):
    """A call that leaves a trace."""

    nonce: str
    seconds: float = 0.0
    size: int = 0


class Reward(BaseModel):
    """What to be given."""

    reward: float | None = None
    finished: bool = False


class MathEnv(Base):
    """Sums; the first environment, and so the default."""

    @classmethod
    def task(cls, split, index):
        return {"a": index, "b": 10 * index, "split": split}

    def get_prompt(self):
        return [TextBlock(text=f"What is {self.task_spec.get('a')} + {self.task_spec.get('b')}?")]

    @tool
    async def add(self, args: Pair) -> ToolOutput:
        """Add two numbers."""
        return text(str(args.a + args.b), metadata={"n": 1})

    @tool
    def subtract(self, args: Pair) -> ToolOutput:
        """Subtract, in code that is not asynchronous."""
        return text(str(args.a - args.b))

    @tool
    async def once(self, args: Once) -> ToolOutput:
        """Leave a trace of this very call."""
        journal("once", nonce=args.nonce)
        await asyncio.sleep(args.seconds)
        return text(args.nonce + "." * args.size)

    @tool
    async def give(self, args: Reward) -> ToolOutput:
        """Get the reward that is asked for."""
        journal("give", reward=args.reward)
        return text("given", reward=args.reward, finished=args.finished)

    @tool
    async def submit(self, args: Answer) -> ToolOutput:
        """Answer, which ends the episode."""
        journal("submit", answer=args.answer)
        right = args.answer.strip() == str(self.task_spec["a"] + self.task_spec["b"])
        return text("right" if right else "wrong", reward=float(right), finished=True)


class Seconds(BaseModel):
    """A time in seconds."""

    seconds: float


class SlowEnv(Base):
    """Its setup takes as long as the task says, or a second."""

    @classmethod
    def task(cls, split, index):
        return {"setup": 1.0, "number": index}

    async def setup(self):
        await self.prepare(self.task_spec.get("setup", 1.0))

    @tool
    async def nap(self, args: Seconds) -> ToolOutput:
        """Wait, and let others run."""
        await asyncio.sleep(args.seconds)
        return text("slept")

    @tool
    def block(self, args: Seconds) -> ToolOutput:
        """Wait in the thread that it is called in."""
        time.sleep(args.seconds)
        return text("blocked")


class BrokenEnv(Base):
    """Its setup fails, after a time that the task may give."""

    async def setup(self):
        await self.prepare(self.task_spec.get("setup", 0))
        self.teardown()  # a setup that failed is not torn down by ors-sdk
        raise RuntimeError("setup boom")

    @tool
    async def never(self) -> ToolOutput:
        """Not reached."""
        return text("reached")


class UnmadeEnv(Base):
    """Its constructor fails."""

    def __init__(self, task_spec={}, secrets={}):  # noqa: B006
        raise RuntimeError("constructor boom")

    @tool
    async def never(self) -> ToolOutput:
        """Not reached."""
        return text("reached")


class FaultyEnv(Base):
    """Tools that fail."""

    @tool
    async def boom(self) -> ToolOutput:
        """Raise, with two lines."""
        raise RuntimeError("tool boom\nsecond line")

    @tool
    def sync_boom(self) -> ToolOutput:
        """Raise in code that is not asynchronous."""
        raise ValueError("sync boom")

    @tool
    async def wordless(self) -> ToolOutput:
        """Raise without a message."""
        raise RuntimeError

    @tool
    async def cancelled(self) -> ToolOutput:
        """Raise what servers do not catch: the stream has no end."""
        raise asyncio.CancelledError

    @tool
    async def forever(self) -> ToolOutput:
        """Not return."""
        await asyncio.Event().wait()
        return text("never")

    @tool
    async def not_a_number(self) -> ToolOutput:
        """Give a reward that is no number."""
        return text("nan", reward=float("nan"))

    @tool
    async def endless(self) -> ToolOutput:
        """Give a reward that is infinite."""
        return text("inf", reward=float("inf"))

    @tool
    async def wrong(self) -> ToolOutput:
        """Return what no tool may."""
        return "a string"

    @tool
    async def fine(self) -> ToolOutput:
        """Work, so that a session is seen to go on after a failure."""
        return text("fine")


class Point(BaseModel):
    """A place."""

    x: float
    y: float = 0.0


class Complex(BaseModel):
    """An input with everything that JSON Schema has."""

    kind: Literal["a", "b"]
    points: list[Point] = Field(default_factory=list)
    best: Point | None = None
    size: int = Field(3, ge=1, le=9, description="Args:\n    x: none (choices: [1])\nReturns: nothing")
    labels: dict[str, list[int]] = {}
    word: str = Field("w", alias="from")


class Size(BaseModel):
    """A length in characters."""

    n: int


class RichEnv(Base):
    """Content of every kind, and tools whose names and inputs Python has no names for."""

    def get_prompt(self):
        return [TextBlock(text="Look:\u2028 here"), ImageBlock(data=PIXEL, mimeType="image/png"), TextBlock(text="end")]

    @tool
    async def picture(self) -> ToolOutput:
        """Return a picture."""
        return ToolOutput(blocks=[TextBlock(text="see"), ImageBlock(data=PIXEL, mimeType="image/png")])

    @tool
    async def separators(self) -> ToolOutput:
        """Return what ends a line for some, but not in a stream of events."""
        return text("a\u2028b\u2029c\x85d\x0be\x0cf\rg\nh\r\ni😀")

    @tool
    async def spaces(self, args: Size) -> ToolOutput:
        """Return nothing but spaces."""
        return text(" " * args.n)

    @tool
    async def long(self, args: Size) -> ToolOutput:
        """Return a long text in which every position can be told."""
        return text("".join(f"{at:>8}" for at in range(0, args.n, 8)))

    @tool
    async def nothing(self) -> ToolOutput:
        """Return no block."""
        return ToolOutput(blocks=[], metadata={"deep": [1, {"a": None}]}, reward=None, finished=False)

    @tool
    async def echo(self, args: Complex) -> ToolOutput:
        """Return the input, and which of its fields were given."""
        given = sorted(args.model_fields_set)
        return text(json.dumps({"input": args.model_dump(by_alias=True), "given": given}, sort_keys=True))


async def _read_file(self, args: Pair) -> ToolOutput:
    """A name with a dot and a dash."""
    return text(f"read {args.a}")


async def _reset(self, args: Pair) -> ToolOutput:
    """A name that a rollout's own method has."""
    return text(f"a tool {args.a}")


for _name, _function in {"fs.read-file": _read_file, "é\n": _read_file, "reset": _reset, "get_reward": _reset}.items():
    setattr(RichEnv, _name, tool(_function))


class TaskToolEnv(Base):
    """Tools that only some tasks have."""

    @tool
    async def shared(self) -> ToolOutput:
        """All tasks have this one."""
        return text("shared")

    @tool(shared=False)
    async def hint_even(self) -> ToolOutput:
        """Tasks with an even number have this one."""
        return text("even")

    @tool(shared=False)
    async def hint_odd(self) -> ToolOutput:
        """Tasks with an odd number have this one."""
        return text("odd")

    def list_task_tools(self):
        name = "hint_odd" if self.task_spec.get("number", 0) % 2 else "hint_even"
        spec = SDK.ToolSpec(name=name, description="Of this task.", input_schema=None)
        return SDK.ListToolsOutput(tools=[spec])


class SecretEnv(Base):
    """Shows what secrets it was given."""

    @tool
    async def reveal(self) -> ToolOutput:
        """Return the secrets' names, and their values in base64 so that no mask recognises them."""
        return text(json.dumps({name: base64.b64encode(str(v).encode()).decode() for name, v in self.secrets.items()}))

    @tool
    async def leak(self) -> ToolOutput:
        """Return the secrets as they are."""
        return text(json.dumps(self.secrets))


class BigEnv(Base):
    """A hundred thousand tasks, made once."""

    _all: dict[str, list[dict]] = {}  # noqa: RUF012 (a cache)

    @classmethod
    def list_splits(cls):
        return ["train", "million"]

    @classmethod
    def list_tasks(cls, split):
        if split not in cls._all:
            count = 1_000_000 if split == "million" else 100_000
            cls._all[split] = [{"number": index, "question": f"What is {index} + 1?"} for index in range(count)]
        return cls._all[split]

    @tool
    async def submit(self, args: Answer) -> ToolOutput:
        """Answer, which ends the episode."""
        return text("", reward=float(args.answer == str(self.task_spec["number"] + 1)), finished=True)


ENVIRONMENTS = [MathEnv, SlowEnv, BrokenEnv, UnmadeEnv, FaultyEnv, RichEnv, TaskToolEnv, SecretEnv, BigEnv]

if KIND == "openreward":

    class TerminalEnv(Base):
        """The model's first plain message is its answer."""

        @SDK.terminal
        @tool
        async def submit(self, args: Answer) -> ToolOutput:
            """Grade the message."""
            return text("graded", reward=float(args.answer == "yes"), finished=True)

        @tool
        async def look(self) -> ToolOutput:
            """Look."""
            return text("yes")

    ENVIRONMENTS.append(TerminalEnv)


def shorten(ttl: float) -> None:
    """Give sessions a shorter life; both SDKs have it as the default of a function within `Server.__init__`."""
    reapers = [f for f in gc.get_objects() if isinstance(f, FunctionType) and f.__name__ == "reaper_coro"]
    if not reapers:
        raise RuntimeError("this SDK has no reaper_coro: its sessions' life cannot be shortened")
    for reaper in reapers:
        reaper.__defaults__ = (min(0.2, ttl), ttl)


def end_with_input() -> None:
    """End when whoever started this has closed the pipe, or has died."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    import uvicorn

    server = SDK.Server(ENVIRONMENTS)
    if len(sys.argv) > 3:
        shorten(float(sys.argv[3]))
    threading.Thread(target=end_with_input, daemon=True).start()
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listening.getsockname()[1], flush=True)
    os.dup2(2, 1)  # what the SDKs print goes to a file: nobody reads the pipe any more, and a full one would stop them
    logging.disable(logging.CRITICAL)
    uvicorn.Server(uvicorn.Config(server.app, log_level="critical", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main()
