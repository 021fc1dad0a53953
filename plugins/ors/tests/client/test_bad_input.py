"""Everything hostile that a server can send, at each point of an episode: an end in time, by environment and task."""

import asyncio
import json
import logging
from functools import partial

import pytest
from ors_raw import event, head, ok, reply, stream

from trainwright_ors.client import Client, Deadlines, Limits, OrsError, run

POINTS = ("create_session", "create", "prompt", "task_tools", "call")
QUICK = Deadlines(connect=0.3, idle=0.3, total=0.5, setup=0.5, request=0.5, resume=0.3, close=0.3)
NAMED = r"environment 'mathenv', task train\[2\]"
JSON, SSE = "application/json", "text/event-stream"


async def endless(piece, kind=JSON, pause=0.0):
    yield head(kind=kind)
    while True:
        yield piece
        await asyncio.sleep(pause)


async def silence():
    await asyncio.sleep(30)
    yield b""


HOSTILE = {
    "a page": lambda: reply(b"<html>log in</html>", kind="text/html"),
    "no type at all": lambda: reply(b"{}", kind=""),
    "compressed": lambda: reply(b"x" * 9, content_encoding="gzip"),
    "another host": lambda: reply({}, 308, Location="http://evil.example/"),
    "another scheme": lambda: reply({}, 302, Location="file:///etc/passwd"),
    "an address that cannot be read": lambda: reply({}, 301, Location="http://[::1"),
    "silence": silence,
    "half a head": lambda: b"HTTP/1.1 200 O",
    "no HTTP": lambda: b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "JSON without end": lambda: endless(b"[", pause=0.01),
    "a flood of JSON": lambda: endless(b"[" * 65536),
    "a flood of chunks": lambda: endless(b"event: chunk\r\ndata: " + b"x" * 4096 + b"\r\n\r\n", SSE),
    "a flood on one line": lambda: endless(b"x" * 65536, SSE),
    "signs of life for ever": lambda: endless(b": ping\r\n\r\n", SSE, 0.01),
    "a stream that is none": lambda: reply(b"\x00\xff" * 99, kind=SSE),
    "a stream without an event": lambda: reply(b"", kind=SSE),
    "a stream's error": lambda: stream(event("error", "__import__('os').system('true')")),
    "an error without end": lambda: reply({"detail": "x" * 10**6}, 500),
    "an error that is a list of anything": lambda: reply({"detail": [{"loc": [[]], "msg": {}}, None, 3]}, 422),
    "an error that nests": lambda: reply(b"[" * 10**5, 500),
}


async def episode(url, limits):
    session = await Client(url, deadlines=QUICK, limits=limits).open("mathenv", split="train", index=2)
    try:
        await session.prompt()
        await session.task_tools()
        return await session.call("add", {"a": 1})
    finally:
        await session.close()


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_it_ends_the_episode_in_time_by_environment_and_task(raw, hostile, point):
    raw.answers[point] = lambda asked: HOSTILE[hostile]()
    with pytest.raises(OrsError, match=NAMED + (", tool 'add': " if point == "call" else ": ")) as caught:
        run(episode(raw.url, Limits(answer=10**6)), timeout=20)
    assert len(str(caught.value)) < 2500
    assert not raw.alive or point == "create"  # what no end was heard of, the server drops in its own time


BROKEN = {
    "create_session": [b"[" * 10**5, {"sid": 3}, {"sid": "a\r\nX-Evil: 1"}, {"sid": "x" * 10**4}, None, 7],
    "prompt": [b"[" * 10**5, {}, [3], [{"type": "text"}], [{"type": "image", "data": "?"}], [{"type": 3}], None],
    "task_tools": [
        b"9" * 10**4, [], {"tools": [{"name": {}}]}, {"tools": [{"name": "x", "input_schema": "object"}]},
        {"tools": [{"name": "x", "description": []}]}, {"tools": None}, {"tools": [], "terminal_tool": []},
    ],
}  # fmt: skip


@pytest.mark.parametrize(("point", "said"), [(point, said) for point in BROKEN for said in BROKEN[point]])
def test_answers_of_the_wrong_form_are_refused_by_environment_and_task(raw, point, said):
    raw.answers[point] = lambda asked: reply(said)
    with pytest.raises(OrsError, match=NAMED + ": "):
        run(episode(raw.url, Limits()), timeout=20)


RESULTS = [b"[" * 10**5, {}, [], None, {"ok": "yes"}, {"ok": True}, {"ok": True, "output": []},
           {"ok": True, "output": {"blocks": 3}}, {"ok": True, "output": {"blocks": [], "reward": "1"}},
           {"ok": True, "output": {"blocks": [], "reward": [1]}},
           {"ok": True, "output": {"blocks": [], "finished": "no"}},
           {"ok": True, "output": {"blocks": [], "metadata": []}},
           {"ok": False, "error": {}}, {"ok": False, "error": "x" * 10**6}]  # fmt: skip


@pytest.mark.parametrize("result", RESULTS)
def test_results_of_the_wrong_form_are_refused_by_environment_task_and_tool(raw, result):
    said = result.decode() if isinstance(result, bytes) else json.dumps(result)
    raw.answers["call"] = lambda asked: stream(event("task_id", "t1"), event("end", said))
    with pytest.raises(OrsError, match=NAMED + ", tool 'add': ") as caught:
        run(episode(raw.url, Limits()), timeout=20)
    assert len(str(caught.value)) < 2500


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400])
def test_a_reward_that_is_no_number_is_none_and_said_by_environment_task_and_tool(raw, caplog, number):
    said = ok("x").replace('"reward": null', f'"reward": {number}')
    raw.answers["call"] = lambda asked: stream(event("task_id", "t1"), event("end", said))
    with caplog.at_level(logging.WARNING):
        assert run(episode(raw.url, Limits()), timeout=20).reward is None
    assert f"{NAMED}, tool 'add': the reward is".replace("\\", "") in caplog.text


@pytest.mark.parametrize("path", ["tools", "splits", "num_tasks", "task", "task_range", "tasks"])
@pytest.mark.parametrize("hostile", ["a page", "another host", "silence", "no HTTP", "JSON without end"])
def test_what_is_asked_before_an_episode_ends_in_time_by_environment_and_split(raw, hostile, path):
    client = Client(raw.url, deadlines=QUICK, limits=Limits(answer=10**6, element=10**6))
    asked = {
        "tools": partial(client.tools, "mathenv"),
        "splits": partial(client.splits, "mathenv"),
        "num_tasks": partial(client.num_tasks, "mathenv", "train"),
        "task": partial(client.task, "mathenv", "train", 2),
        "task_range": partial(client.task_range, "mathenv", "train", 2, 4),
        "tasks": partial(client.tasks, "mathenv", "train"),
    }
    raw.answers["version"] = lambda asked: reply({"version": "1"})
    raw.answers[path] = lambda asked: HOSTILE[hostile]()
    place = "environment 'mathenv'" if path in ("tools", "splits") else r"environment 'mathenv', task train\["
    with pytest.raises(OrsError, match=place):
        run(asked[path](), timeout=20)
