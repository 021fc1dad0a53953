"""The environments of a `FakeServer`: tasks, prompts and tools, as plain functions."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Block = Mapping[str, Any]
Task = Mapping[str, Any]


def text(value: str) -> Block:
    """A block of text."""
    return {"text": value, "detail": None, "type": "text"}


def image(data: bytes, mime_type: str = "image/png") -> Block:
    """A block with an image's file."""
    return {"data": base64.b64encode(data).decode(), "mimeType": mime_type, "detail": None, "type": "image"}


@dataclass
class Output:
    """What a tool returns.

    Attributes:
        blocks: Text (a string is one block of it), images, or anything else that a server might send.
        reward: Of this call.
        finished: Whether the episode is over.
        metadata: An object, or None.
    """

    blocks: str | Sequence[Block] = ()
    reward: float | None = None
    finished: bool = False
    metadata: Mapping[str, Any] | None = None

    def wire(self) -> dict[str, Any]:
        """As it is sent."""
        blocks = [text(self.blocks)] if isinstance(self.blocks, str) else list(self.blocks)
        return {"blocks": blocks, "metadata": self.metadata, "reward": self.reward, "finished": self.finished}


Returned = Output | str


@dataclass
class FakeTool:
    """A tool.

    Attributes:
        name: Any string.
        run: Called with the input; gives an `Output`, or a string for one block of text; may be asynchronous, and what
            it raises is the tool's error.
        description: What models read.
        input_schema: JSON Schema, or None; its `required` is what inputs are checked by.
    """

    name: str
    run: Callable[[dict[str, Any]], Returned | Awaitable[Returned]]
    description: str = ""
    input_schema: Mapping[str, Any] | bool | None = None

    def spec(self) -> dict[str, Any]:
        """As it is sent."""
        return {"name": self.name, "description": self.description, "input_schema": self.input_schema}

    def missing(self, given: Mapping[str, Any]) -> list[str]:
        """The required arguments that an input lacks."""
        required = self.input_schema.get("required", []) if isinstance(self.input_schema, Mapping) else []
        return [name for name in required if name not in given]


@dataclass
class FakeEnvironment:
    """An environment.

    Attributes:
        name: As it is listed.
        tools: Those of all tasks.
        tasks: The tasks' specifications by split; the splits `train` and `test` have that type, others `validation`.
        prompt: The blocks, or the text, that a task begins with.
        task_tools: More tools that a task has.
        terminal: The tool for the model's first plain message, and the argument that takes it (servers of openreward's
            kind only).
        setup: Seconds that a session takes to begin.
        failure: What the setup fails with; None where it does not.
    """

    name: str = "fakeenv"
    tools: Sequence[FakeTool] = ()
    tasks: Mapping[str, Sequence[Task]] = field(default_factory=lambda: {"train": [{"n": n} for n in range(4)]})
    prompt: Callable[[Task], str | Sequence[Block]] = lambda task: f"Task {dict(task)}"
    task_tools: Callable[[Task], Sequence[FakeTool]] = lambda task: ()
    terminal: tuple[FakeTool, str | None] | None = None
    setup: float = 0.0
    failure: str | None = None

    def tool(self, name: str, task: Task) -> FakeTool | None:
        """The tool of this name that a task has."""
        terminal = [self.terminal[0]] if self.terminal else []
        return next((tool for tool in [*self.tools, *self.task_tools(task), *terminal] if tool.name == name), None)

    def blocks(self, task: Task) -> list[Block]:
        """The prompt of a task, as it is sent."""
        prompt = self.prompt(task)
        return [text(prompt)] if isinstance(prompt, str) else list(prompt)
