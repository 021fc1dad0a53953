"""The fake server does what servers of either generation do, and goes wrong where it is told to."""

import asyncio

import httpx
import pytest
from pydantic import SecretStr

from trainwright_ors.client import (
    Client,
    Deadline,
    Deadlines,
    EnvironmentFailed,
    HttpRefused,
    ImageBlock,
    Limits,
    OutcomeUnknown,
    ProtocolError,
    SessionGone,
    TerminalTool,
    ToolFailed,
    Unreachable,
    close_all,
    run,
)
from trainwright_ors.testing import CuttingProxy, FakeEnvironment, FakeServer, FakeTool, Output, faults, image, text

QUICK = Deadlines(connect=1, idle=1, total=1, setup=5, request=5, resume=2, close=2)
PATIENT = Deadlines(connect=1, idle=2, total=30, setup=20, request=20, resume=15, close=5)
BRIEF = Deadlines(connect=1, idle=0.5, total=0.5, setup=0.5, request=2, resume=1, close=2)
INTEGERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


async def _fails(given):
    raise RuntimeError("tool boom\nsecond line")


async def _cancels(given):
    raise asyncio.CancelledError


def environment(**settings):
    tools = [
        FakeTool("add", lambda given: str(given["a"] + 1), "Adds one.", INTEGERS),
        FakeTool("echo", lambda given: Output(given.get("text", ""), reward=given.get("reward"))),
        FakeTool("submit", lambda given: Output([text("done"), image(b"png")], reward=1.0, finished=True)),
        FakeTool("fails", _fails),
        FakeTool("cancels", _cancels),
    ]
    return FakeEnvironment(**{"name": "mathenv", "tools": tools, **settings})


@pytest.fixture(params=["ors", "openreward"])
def fake(request):
    with FakeServer([environment(), FakeEnvironment("other")], generation=request.param) as server:
        server.kind = request.param
        yield server
        server.heal()
        close_all()


def opened(server, url=None, index=0, deadlines=QUICK, **settings):
    return run(Client(url or server.url, deadlines=deadlines, **settings).open("mathenv", split="train", index=index))


def test_an_episode_from_its_prompt_to_its_end(fake):
    client = Client(fake.url)
    assert run(client.describe()).generation == fake.kind
    assert run(client.describe()).environments == ("mathenv", "other")
    assert run(client.num_tasks("mathenv", "train")) == 4
    assert run(client.task_range("mathenv", "train", 1, 9)) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [tool.input_schema for tool in run(client.tools("mathenv")).tools][:2] == [INTEGERS, None]
    session = opened(fake, index=2)
    assert "'n': 2" in run(session.prompt())[0].text
    assert run(session.call("add", {"a": 2})).blocks[0].text == "3"
    last = run(session.call("submit", {}))
    assert (last.reward, last.finished, last.blocks[1]) == (1.0, True, ImageBlock(b"png", "image/png"))
    assert list(fake.sessions) == [session.sid]
    assert fake.executions == [("add", {"a": 2}), ("submit", {})]
    run(session.close())
    assert not fake.sessions
    assert fake.opened == 1


def test_only_one_generation_refuses_calls_after_the_end(fake):
    session = opened(fake)
    run(session.call("submit", {}))
    if fake.kind == "ors":
        run(session.call("submit", {}))
    else:
        with pytest.raises(ToolFailed) as caught:
            run(session.call("submit", {}))
        assert caught.value.reason == "episode_finished"
    assert fake.executed("submit") == (2 if fake.kind == "ors" else 1)


def test_tools_that_fail_or_are_refused_leave_the_session_usable(fake):
    session = opened(fake)
    for name, given, said in [
        ("none", {}, "not a valid tool"), ("add", {}, "Field required"), ("fails", {}, "tool boom\nsecond line"),
    ]:  # fmt: skip
        with pytest.raises(ToolFailed) as caught:
            run(session.call(name, given))
        assert said in caught.value.detail
    assert run(session.call("echo", {"text": " \u2028\n" * 4000})).blocks[0].text == " \u2028\n" * 4000


def test_a_tool_that_cancels_itself_has_a_stream_without_end(fake):
    with pytest.raises(Deadline):
        run(opened(fake, deadlines=Deadlines(idle=5, total=0.3, setup=0.1)).call("cancels", {}))


def test_a_reward_that_is_no_number_arrives_as_none(fake):
    assert run(opened(fake).call("echo", {"reward": 0.5})).reward == 0.5


def test_secrets_arrive_by_the_channel_of_each_generation(fake):
    opened(fake, secrets={"K": SecretStr("v-123456")})
    assert [dict(session.secrets) for session in fake.sessions.values()] == [{"K": "v-123456"}]


def test_a_setup_that_takes_its_time_and_one_that_fails():
    slow, failing = environment(setup=0.5), environment(name="failing", failure="setup boom")
    with FakeServer([slow, failing], setup_wait=0.1) as server:
        assert run(opened(server, deadlines=Deadlines(setup=30)).prompt())
        said = [request for request in server.requests if request.path.endswith("/prompt")]
        assert len(said) > 1  # it was told to come again
        session = run(Client(server.url).open("failing", split="train", index=0))
        with pytest.raises(EnvironmentFailed, match="setup boom"):
            run(session.prompt())
        close_all()


def test_a_terminal_tool_is_hidden_from_models():
    grade = FakeTool("grade", lambda given: Output("graded", reward=float(given["text"] == "yes"), finished=True))
    with FakeServer([environment(terminal=(grade, "text"))]) as server:
        assert run(Client(server.url).tools("mathenv")).terminal == TerminalTool("grade", "text", "")
        assert run(opened(server).call("grade", {"text": "yes"})).reward == 1.0
        close_all()


def test_sessions_that_are_not_heard_of_are_dropped():
    with FakeServer([environment()], ttl=0.2) as server:
        httpx.post(f"{server.url}/create", headers={"X-Session-ID": "s"}, json={"split": "train", "index": 0})
        assert list(server.sessions) == ["s"]
        for _ in range(100):
            if not server.sessions:
                break
            asyncio.run(asyncio.sleep(0.02))
        assert httpx.post(f"{server.url}/ping", headers={"X-Session-ID": "s"}).status_code == 404


def test_what_is_malformed_is_refused_and_what_is_elsewhere_redirected(fake):
    def said(path, body):
        return httpx.post(f"{fake.url}{path}", headers={"X-Session-ID": "s"}, json=body).status_code

    assert httpx.get(f"{fake.url}/nowhere/tools").headers["location"] == "/mathenv/nowhere/tools"
    assert said("/create", {"split": "train", "index": 0, "task_spec": {}}) == 422
    assert said("/create", {"split": "train", "index": 0, "surprise": 1}) == 422
    assert said("/create", {"split": "none", "index": 0}) == 400
    assert said("/create", {"split": "train", "index": 4}) == 400
    assert said("/create", {"env_name": "none", "task_spec": {}}) == 404
    assert said("/mathenv/call", {"name": "add"}) == 422
    assert said("/mathenv/call", {"name": "add", "input": {}}) == 404
    assert said("/mathenv/tasks", {"split": ["train"]}) == 400
    assert httpx.post(f"{fake.url}/create", json={"task_spec": {}}).status_code == 400


def raising(name, fault, *kinds, endpoint="call"):
    return pytest.param(endpoint, fault, kinds, id=name)


@pytest.mark.parametrize(
    ("endpoint", "fault", "kinds"),
    [
        raising("500", faults.status(500, "boom"), EnvironmentFailed),
        raising("404", faults.status(404, "Active environment not found"), SessionGone),
        raising("422", faults.status(422, [{"loc": ["body"], "msg": "no"}]), HttpRefused),
        raising("hang", faults.hang(), OutcomeUnknown, Deadline),
        raising("no answer", faults.cut(-1), OutcomeUnknown),
        raising("cut early", faults.cut(5), OutcomeUnknown),
        raising("endless", faults.endless(b"data: x\r\n" * 1000), ProtocolError),
        raising("html", faults.replaced(b"<html>", "text/html"), ProtocolError),
        raising("redirect", faults.redirect("http://127.0.0.1:9/"), ProtocolError, HttpRefused),
        raising("no blocks", faults.changed(lambda blocks: {"not": "blocks"}), ProtocolError, endpoint="prompt"),
        raising("500 of the prompt", faults.status(500), EnvironmentFailed, endpoint="prompt"),
    ],
)  # fmt: skip
def test_each_fault_is_what_a_client_meets(fake, endpoint, fault, kinds):
    session = opened(fake, deadlines=BRIEF, limits=Limits(answer=100_000))
    fake.inject(endpoint, fault)
    with pytest.raises(kinds):
        run(session.prompt() if endpoint == "prompt" else session.call("add", {"a": 1}))
    assert fake.executed("add") <= 1


def test_faults_apply_as_often_as_told_and_are_taken_back(fake):
    fake.inject("call", faults.starting(), skip=1, times=2)
    session = opened(fake)
    for a in range(2):
        assert run(session.call("add", {"a": a})).blocks[0].text == str(a + 1)
    assert len([request for request in fake.requests if request.path.endswith("/call")]) == 4
    fake.inject("call", faults.status(500))
    fake.heal()
    assert run(session.call("add", {"a": 1}))
    assert fake.executed("add") == 3


@pytest.mark.parametrize(
    "fault", [faults.cut_after_event("task_id"), faults.cut_after_event("chunk"), faults.delay(0.1)]
)
def test_a_stream_that_is_cut_where_it_can_be_resumed_gives_its_result(fake, fault):
    session = opened(fake)
    fake.inject("call", fault, times=1)
    assert run(session.call("echo", {"text": "x" * 9000})).blocks[0].text == "x" * 9000
    assert fake.executed("echo") == 1


def test_a_server_that_died_is_unreachable_until_it_is_back(fake):
    session = opened(fake)
    fake.stop()
    with pytest.raises(Unreachable):
        run(session.call("add", {"a": 1}))
    fake.start()
    assert run(opened(fake).call("add", {"a": 1})).blocks[0].text == "2"


def test_no_tool_runs_twice_behind_a_proxy_that_cuts(fake):
    """Each call has an input of its own; whether it gave a result or an unknown outcome, it ran once at most."""
    with CuttingProxy(fake.url, lambda chance: chance.randrange(200, 4000), seed=1) as proxy:
        session, results = None, 0
        for n in range(60):
            try:
                session = session or opened(fake, proxy.url, deadlines=PATIENT)
                run(session.call("echo", {"text": f"{n}:" + "x" * 500}))
                results += 1
            except (OutcomeUnknown, Unreachable):
                session = None
        proxy.cutting = False
        close_all()
        assert proxy.cuts > 10
        assert results > 20
    texts = [given["text"] for _, given in fake.executions]
    assert len(texts) == len(set(texts))
    assert len(texts) >= results


def test_a_proxy_that_does_not_cut_passes_everything_on(fake):
    with CuttingProxy(fake.url) as proxy:
        proxy.cutting = False
        assert run(opened(fake, proxy.url).call("echo", {"text": "x" * 100_000})).blocks[0].text == "x" * 100_000
        close_all()
        assert not proxy.cuts
