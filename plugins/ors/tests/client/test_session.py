"""Sessions are created once, kept alive, and ended whatever happens; nothing of them is left behind."""

import asyncio
import os
import threading
import time

import pytest
from ors_raw import event, head, reply, stream

from trainwright_ors.client import (
    Client,
    Deadline,
    Deadlines,
    EnvironmentFailed,
    HttpRefused,
    ImageBlock,
    ProtocolError,
    SessionGone,
    TextBlock,
    Unreachable,
    close_all,
    closing,
    run,
)

QUICK = Deadlines(connect=0.3, idle=0.3, total=5, setup=5, request=5, close=5)


def client(raw, **deadlines):
    return Client(raw.url, deadlines=Deadlines(**{"connect": 0.3, "setup": 5, "request": 5, "close": 5, **deadlines}))


def opened(raw, **deadlines):
    return run(client(raw, **deadlines).open("mathenv", split="train", index=0))


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def cut(*pieces):
    async def pieces_of():
        for piece in pieces:
            yield piece

    return pieces_of()


def test_from_creation_to_end_the_server_is_asked_in_order(raw):
    session = opened(raw)
    assert run(session.prompt()) == (TextBlock("hello"),)
    assert [tool.name for tool in run(session.task_tools()).tools] == ["add"]
    run(session.call("add", {}))
    run(session.close())
    assert raw.paths()[-7:] == [
        "POST /create_session",
        "POST /create",
        "GET /mathenv/prompt",
        "GET /mathenv/task_tools",
        "POST /mathenv/call",
        "POST /delete",
        "POST /delete_session",
    ]
    create = next(asked for asked in raw.asked if asked.path == "/create")
    assert create.body == {"env_name": "mathenv", "split": "train", "index": 0}
    assert len({asked.headers["x-session-id"] for asked in raw.asked if "x-session-id" in asked.headers}) == 1
    assert not raw.alive


def test_a_given_task_is_sent_verbatim(raw):
    task = {"from": {"a\u2028": [None, "\ud800", 10**30]}, "self": 1, "task_spec": {}, "prompts": []}
    run(client(raw).open("MathEnv", task=task, label="seven"))
    create = next(asked for asked in raw.asked if asked.path == "/create")
    assert create.body == {"env_name": "mathenv", "task_spec": task}


@pytest.mark.parametrize("wrong", [{}, {"split": "train"}, {"task": {}, "index": 1}, {"split": "train", "index": -1}])
def test_a_session_is_for_one_task(raw, wrong):
    with pytest.raises(ValueError, match="index"):
        run(client(raw).open("mathenv", **wrong))


@pytest.mark.parametrize(
    "answer",
    [
        reply({"sid": "abc"}),
        stream(event("task_id", "abc"), event("end", "")),
        stream(event("task_id", "other"), event("end", '{"sid": "abc"}')),
    ],
)
def test_the_session_s_id_comes_in_each_of_the_known_forms(raw, answer):
    raw.answers["create_session"] = lambda asked: answer
    opened(raw)
    assert raw.alive == {"abc"}


@pytest.mark.parametrize("sid", ["", "a\nb", "é", "x" * 300])
def test_an_id_that_is_none_is_refused(raw, sid):
    raw.answers["create_session"] = lambda asked: reply({"sid": sid})
    with pytest.raises(ProtocolError, match="id of the session"):
        opened(raw)


def test_a_creation_whose_answer_was_lost_is_not_made_twice(raw):
    def answer(asked):
        sid = asked.headers["x-session-id"]
        if sid in raw.alive:
            return reply({"detail": "Session already exists"}, 400)
        raw.alive.add(sid)
        return cut()

    raw.answers["create"] = answer
    session = opened(raw)
    assert len(raw.alive) == 1
    run(session.close())
    assert not raw.alive


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_a_refused_creation_leaves_nothing(raw, status):
    raw.answers["create"] = lambda asked: (
        raw.alive.add(asked.headers["x-session-id"]),
        reply({"detail": "no"}, status),
    )[1]
    with pytest.raises(EnvironmentFailed if status == 500 else HttpRefused, match=r"mathenv.*train\[0\].*no"):
        opened(raw)
    until(lambda: not raw.alive)


def test_a_creation_that_is_cancelled_under_way_is_ended_after_it_arrived(raw):
    began = threading.Event()

    def answer(asked):
        async def slow():
            began.set()
            await asyncio.sleep(0.3)
            raw.alive.add(asked.headers["x-session-id"])
            yield reply({})

        return slow()

    raw.answers["create"] = answer

    async def cancelled():
        task = asyncio.ensure_future(client(raw).open("mathenv", split="train", index=0))
        while not began.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    close_all()
    assert [path for path in raw.paths() if path == "POST /delete"]
    assert not raw.alive


def test_ending_it_twice_or_from_two_sides_is_one_end(raw):
    session = opened(raw)

    async def twice():
        await asyncio.gather(session.close(), session.close())
        await session.close()

    run(twice())
    assert raw.paths().count("POST /delete") == 1
    with pytest.raises(SessionGone, match="ended"):
        run(session.call("add", {}))


def test_an_end_that_a_server_that_is_gone_cannot_take_is_not_tried_again(raw):
    session = opened(raw, connect=0.5, close=0.5)
    raw.__exit__()
    try:
        run(session.close())
        assert session not in run(all_opened())
    finally:
        raw.__enter__()


async def all_opened():
    return set(closing.opened())


def test_an_end_that_the_server_fails_is_no_error_and_is_tried_again_only_while_it_helps(raw, caplog):
    raw.answers["delete"] = lambda asked: reply({"detail": "teardown"}, 500)
    session = opened(raw)
    run(session.close())
    assert raw.paths().count("POST /delete") == 1
    raw.answers["delete"] = lambda asked: cut()
    run(opened(raw).close())
    assert 3 < raw.paths().count("POST /delete") < 10
    assert "could not be ended" in caplog.text


def test_an_end_for_which_the_server_was_too_busy_is_tried_again_at_the_exit(raw):
    async def busy():
        await asyncio.sleep(30)
        yield b""

    raw.answers["delete"] = lambda asked: busy()
    session = opened(raw, close=0.2)
    run(session.close())
    assert raw.alive
    del raw.answers["delete"]
    close_all()
    assert not raw.alive


def test_a_stream_that_was_read_to_its_end_leaves_its_connection_for_the_next_request(raw):
    session = opened(raw)
    for _ in range(5):
        run(session.call("add", {}))
    run(session.close())
    assert raw.connections == 1


def test_many_sessions_at_once_ask_only_once_what_the_server_is(raw):
    async def all_of_them():
        here = client(raw)
        return await asyncio.gather(*(here.open("mathenv", split="train", index=n) for n in range(20)))

    assert len(run(all_of_them())) == 20
    assert raw.paths().count("GET /list_environments") == 1


def test_signs_of_life_go_on_while_a_tool_runs_and_stop_when_the_session_is_gone(raw):
    pings = []

    def ping(asked):
        pings.append(1)
        return reply({"detail": "Active environment not found"}, 404) if len(pings) > 3 else None

    async def slow():
        yield head() + event("task_id", "t")
        while len(pings) < 3:
            await asyncio.sleep(0.01)
        yield event("end", '{"ok": true, "output": {"blocks": []}}')

    raw.answers |= {"ping": ping, "call": lambda asked: slow()}
    session = opened(raw, ping=0.05)
    assert run(session.call("add", {})).blocks == ()
    until(lambda: session.gone)
    time.sleep(0.2)
    assert len(pings) == 4
    with pytest.raises(SessionGone):
        run(session.prompt())


def test_a_sign_of_life_that_fails_once_is_given_again(raw):
    said = iter([reply({"detail": "?"}, 500), reply({}, 502), cut(), None, None])
    raw.answers["ping"] = lambda asked: next(said, None)
    session = opened(raw, ping=0.02)
    until(lambda: raw.paths().count("POST /ping") > 6)
    assert not session.gone


def test_a_sign_of_life_that_fails_does_not_bring_a_session_back(raw):
    gone = threading.Event()

    async def cut_once_it_is_gone():
        while not gone.is_set():
            await asyncio.sleep(0.01)
        yield b""

    raw.answers["ping"] = lambda asked: cut_once_it_is_gone()
    raw.answers["call"] = lambda asked: reply({"detail": "Active environment not found"}, 404)
    session = opened(raw, ping=0.05)
    until(lambda: "POST /ping" in raw.paths())
    with pytest.raises(SessionGone):
        run(session.call("add", {}))
    gone.set()
    until(session._pings.done)
    assert session.gone


def test_the_prompt_waits_for_the_setup_and_meets_its_deadline(raw):
    starting = reply({"detail": "starting"}, 503, X_Backend_State="starting", Retry_After=0)
    said = iter([starting, starting])
    raw.answers["prompt"] = lambda asked: next(said, None)
    assert run(opened(raw).prompt()) == (TextBlock("hello"),)
    raw.answers["prompt"] = lambda asked: starting
    with pytest.raises(Deadline, match=r"mathenv.*train\[0\].*the prompt.*0.5 s"):
        run(opened(raw, setup=0.5).prompt())


def test_a_setup_that_failed_is_said_to_be_the_environment_s(raw):
    raw.answers["prompt"] = lambda asked: reply({"detail": "RuntimeError: setup boom"}, 500)
    with pytest.raises(EnvironmentFailed, match=r"mathenv.*train\[0\].*setup boom") as caught:
        run(opened(raw).prompt())
    assert caught.value.status == 500
    assert raw.paths().count("GET /mathenv/prompt") == 1


def test_a_prompt_has_text_and_images_and_leaves_out_what_is_not_known(raw):
    blocks = [
        {"type": "text", "text": "a\u2028\ud800"},
        {"type": "image", "data": "aGk=", "mimeType": "image/webp", "detail": "low"},
        {"type": "hologram", "data": 1},
    ]
    raw.answers["prompt"] = lambda asked: reply(blocks)
    assert run(opened(raw).prompt()) == (TextBlock("a\u2028?"), ImageBlock(b"hi", "image/webp"))


@pytest.mark.parametrize(
    "answer",
    ["text", {"blocks": []}, [1], [{"text": "no type"}], [{"type": "text"}], [{"type": "image", "data": "%%"}]],
)
def test_what_is_no_prompt_is_refused(raw, answer):
    raw.answers["prompt"] = lambda asked: reply(answer)
    with pytest.raises(ProtocolError, match=r"mathenv.*train\[0\]"):
        run(opened(raw).prompt())


def test_requests_that_only_read_are_sent_again_a_few_times(raw):
    said = iter([cut(), cut(head(kind="application/json", content_length=99), b'[{"type"'), reply({}, 502)])
    raw.answers["prompt"] = lambda asked: next(said, None)
    assert run(opened(raw).prompt()) == (TextBlock("hello"),)
    raw.answers["prompt"] = lambda asked: cut()
    with pytest.raises(Unreachable, match="the prompt could not be had"):
        run(opened(raw).prompt())


def test_a_server_that_comes_back_in_time_is_found_again(raw):
    session = opened(raw, connect=10)
    raw.__exit__()
    threading.Timer(0.5, raw.__enter__).start()
    assert run(session.prompt()) == (TextBlock("hello"),)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_leaves_its_parent_s_sessions_alone_and_has_its_own(raw):
    session = opened(raw)
    mine = set(raw.alive)
    child = os.fork()
    if not child:
        code = 1
        try:
            close_all()
            run(session.close())
            other = opened(raw)
            run(other.prompt())
            run(other.close())
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert raw.alive == mine
    assert run(session.prompt()) == (TextBlock("hello"),)
