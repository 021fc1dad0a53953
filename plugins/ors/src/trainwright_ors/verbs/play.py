"""`env try`: one episode, each call a line of the input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from trainwright.cli.screen import paint, put_json
from trainwright_ors.client import Client, OrsError, TerminalTool, ToolResult, run
from trainwright_ors.rollout import Opened, Rollout, open_task
from trainwright_ors.sources import read_source
from trainwright_ors.tools import schema
from trainwright_ors.verbs.text import blocks_text, line, printable, tool_lines

HELP = 'Type NAME {"argument": "value"} to call a tool, /say TEXT for a plain message, /tools for schemas, or /quit.'


def play(client: Client, environment: str | None, split: str, index: int, source: TextIO | None = None) -> None:
    """Play a task until it is finished, the input ends, or `/quit`.

    Args:
        client: The server.
        environment: Its name; None for the server's only one.
        split: The split.
        index: The task's number in it.
        source: The lines; None for the standard input.

    Raises:
        OrsError: No session can be set up, or it is lost.
    """
    opened, terminal = run(_open(client, environment, split, index))
    episode = Rollout(opened, terminal)
    try:
        _introduce(episode)
        for text in _lines(source or sys.stdin):
            if text == "/quit" or not _step(episode, text):
                break
        _conclude(episode)
    finally:
        run(opened.session.close())


async def _open(client: Client, environment: str | None, split: str, index: int) -> tuple[Opened, TerminalTool | None]:
    source = await read_source(client, environment, split)
    opened = await open_task(client, source.key(index), retries=0)
    return opened, opened.tools.terminal or (await client.tools(source.environment)).terminal


def _introduce(episode: Rollout) -> None:
    print(paint(str(episode.place), "bold", sys.stdout))
    print(blocks_text(episode.opened.prompt))
    print()
    for text in tool_lines(episode.opened.tools.tools, "  "):
        print(text)
    if episode.terminal is not None:
        print(f"  {line(episode.terminal.name)} takes a plain message")
    print(paint(HELP, "dim", sys.stdout))


def _lines(source: TextIO) -> Iterator[str]:
    """The input's lines that are not blank, after a prompt where somebody types."""
    while True:
        if source.isatty():
            print("> ", end="", flush=True)
        if not (text := source.readline()):
            return
        if text := text.strip():
            yield text


def _step(episode: Rollout, text: str) -> bool:
    """Do what a line says; return whether the episode goes on."""
    if text == "/tools":
        put_json([schema(spec) for spec in episode.opened.tools.tools])
        return True
    call = _read(episode, text)
    if call is None:
        return True
    try:
        _tell(run(episode.call(*call)))
    except OrsError as error:
        print(f"{paint('failed:', 'yellow', sys.stdout)} {printable(error.detail)}")
        if episode.lost is not None:
            raise
    return not episode.finished


def _read(episode: Rollout, text: str) -> tuple[str, dict[str, Any]] | None:
    """The call that a line stands for; None, and a word of why, where it stands for none."""
    if text.startswith("/say "):
        return _message(episode, text.removeprefix("/say "))
    name, brace, rest = text.partition("{")
    try:
        arguments = json.loads(brace + rest) if brace else {}
    except ValueError as error:
        print(f"the arguments are not JSON: {error}")
        return None
    if name.startswith("/") and not brace:
        print(HELP)
        return None
    return name.strip(), arguments


def _message(episode: Rollout, said: str) -> tuple[str, dict[str, Any]] | None:
    terminal = episode.terminal
    if terminal is None:
        print("this task has no tool that takes a plain message")
        return None
    return terminal.name, {} if terminal.arg is None else {terminal.arg: said}


def _tell(result: ToolResult) -> None:
    print(blocks_text(result.blocks))
    facts = [] if result.reward is None else [f"reward {result.reward:g}"]
    facts += ["finished"] if result.finished else []
    if facts:
        print(paint(f"[{', '.join(facts)}]", "green", sys.stdout))


def _conclude(episode: Rollout) -> None:
    rewards, calls = episode.rewards, episode.figures.calls
    state = "finished" if episode.finished else "not finished"
    told = f"rewards {', '.join(f'{reward:g}' for reward in rewards)}; sum {sum(rewards):g}" if rewards else "no reward"
    print(f"{state} after {calls} {'call' if calls == 1 else 'calls'}; {told}")
