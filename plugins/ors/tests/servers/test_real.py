"""The servers that other tests rely on are what these tests take them for."""

import asyncio
import json

import httpx
import pytest
from ors_real import RealServer

from trainwright_ors.client import Client, EnvironmentFailed, ImageBlock, OrsError, ToolFailed, run

ENVIRONMENTS = ["mathenv", "slowenv", "brokenenv", "unmadeenv", "faultyenv", "richenv", "tasktoolenv", "secretenv"]


def test_a_server_has_all_environments(real):
    info = run(Client(real.url).describe())
    assert info.generation == real.kind
    assert list(info.environments[: len(ENVIRONMENTS)]) == ENVIRONMENTS
    assert ("terminalenv" in info.environments) == (real.kind == "openreward")


def test_executions_and_sessions_are_counted_by_what_happened(real):
    before = real.alive()

    async def episode():
        session = await Client(real.url).open("mathenv", split="train", index=2)
        prompt = await session.prompt()
        assert real.alive() == before + 1
        await session.call("once", {"nonce": f"{real.kind}-1"})
        await session.call("once", {"nonce": f"{real.kind}-2"})
        await session.call("once", {"nonce": f"{real.kind}-2"})
        last = await session.call("submit", {"answer": "22"})
        await session.close()
        return prompt, last

    prompt, last = run(episode())
    assert "2 + 20" in prompt[0].text
    assert (last.reward, last.finished) == (1.0, True)
    assert (real.executions()[f"{real.kind}-1"], real.executions()[f"{real.kind}-2"]) == (1, 2)
    assert real.alive() == before


def test_a_short_life_of_sessions_is_what_the_server_keeps_to(request):
    for kind in ("ors", "openreward"):
        with RealServer(kind, ttl=0.5) as server:
            sid = {"X-Session-ID": "left-alone"}
            body = {"env_name": "mathenv", "split": "train", "index": 0}
            httpx.post(f"{server.url}/create", headers=sid, json=body).raise_for_status()
            httpx.get(f"{server.url}/mathenv/prompt", headers=sid).raise_for_status()
            assert server.alive() == 1
            assert server.all_gone()


def test_tools_of_richenv_and_what_they_return(real):
    async def episode():
        session = await Client(real.url).open("richenv", split="train", index=0)
        names = [spec.name for spec in (await session.task_tools()).tools]
        read = await session.call("fs.read-file", {"a": 3})
        picture = await session.call("picture", {})
        separators = await session.call("separators", {})
        spaces = await session.call("spaces", {"n": 9000})
        long = await session.call("long", {"n": 40_000})
        assert long.blocks[0].text == "".join(f"{at:>8}" for at in range(0, 40_000, 8))
        nothing = await session.call("nothing", {})
        assert (nothing.blocks, nothing.reward, nothing.metadata) == ((), None, {"deep": [1, {"a": None}]})
        echo = await session.call("echo", {"kind": "a", "points": [{"x": 1}], "from": "f"})
        await session.close()
        return names, read, picture, separators, spaces, echo

    names, read, picture, separators, spaces, echo = run(episode())
    assert {"fs.read-file", "é\n", "reset", "get_reward", "echo"} <= set(names)
    assert read.blocks[0].text == "read 3"
    assert isinstance(picture.blocks[1], ImageBlock)
    assert separators.blocks[0].text == "a\u2028b\u2029c\x85d\x0be\x0cf\rg\nh\r\ni😀"
    assert spaces.blocks[0].text == " " * 9000
    assert json.loads(echo.blocks[0].text)["given"] == ["kind", "points", "word"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("boom", "tool boom\nsecond line"),
        ("sync_boom", "sync boom"),
        ("wordless", "the tool failed without a message"),
        ("wrong", "ToolOutput"),
    ],
)
def test_a_tool_that_raises(real, name, said):
    session = run(Client(real.url).open("faultyenv", split="train", index=0))
    with pytest.raises(ToolFailed) as caught:
        run(session.call(name, {}))
    assert said in caught.value.detail
    assert run(session.call("fine", {})).blocks[0].text == "fine"
    run(session.close())


@pytest.mark.parametrize(
    ("name", "arguments", "reason", "said"),
    [
        ("nope", {}, "not_found", "'nope' is not a valid tool"),
        ("add", {"b": 1}, "input_validation", "Tool input validation error"),
        ("add", {"a": {"deep": []}}, "input_validation", "Tool input validation error"),
    ],
)
def test_a_call_that_is_refused_has_its_reason_and_the_session_goes_on(real, name, arguments, reason, said):
    session = run(Client(real.url).open("mathenv", split="train", index=0))
    with pytest.raises(ToolFailed, match=rf"environment 'mathenv', task train\[0\], tool '{name}': .*{said}") as caught:
        run(session.call(name, arguments))
    assert caught.value.reason == reason
    assert run(session.call("add", {"a": 1})).blocks[0].text == "2"
    run(session.close())


def test_after_the_end_one_kind_refuses_and_the_other_would_call_again(real):
    """Why rollouts remember the end themselves; see `test_after_the_end_nothing_is_sent_and_the_score_stays`."""
    session = run(Client(real.url).open("mathenv", split="train", index=0))
    assert run(session.call("submit", {"answer": "0"})).finished
    if real.kind == "ors":
        assert run(session.call("submit", {"answer": "1"})).reward == 0.0
    else:
        with pytest.raises(ToolFailed) as caught:
            run(session.call("submit", {"answer": "1"}))
        assert caught.value.reason == "episode_finished"
    run(session.close())


def test_rewards_that_are_no_numbers_arrive_as_none(real):
    session = run(Client(real.url).open("faultyenv", split="train", index=0))
    assert run(session.call("not_a_number", {})).reward is None
    assert run(session.call("endless", {})).reward is None
    run(session.close())


def test_a_setup_and_a_constructor_that_fail(real):
    async def prompt(environment):
        session = await Client(real.url).open(environment, split="train", index=0)
        try:
            return await session.prompt()
        finally:
            await session.close()

    with pytest.raises(EnvironmentFailed, match="setup boom"):
        run(prompt("brokenenv"))
    with pytest.raises(OrsError, match="constructor boom"):
        run(prompt("unmadeenv"))


def test_tools_that_only_some_tasks_have(real):
    async def tools(index):
        session = await Client(real.url).open("tasktoolenv", split="train", index=index)
        names = [spec.name for spec in (await session.task_tools()).tools]
        await session.close()
        return sorted(names)

    assert run(tools(0)) == ["hint_even", "shared"]
    assert run(tools(1)) == ["hint_odd", "shared"]


def test_sixteen_naps_overlap_in_their_sessions(real):
    async def nap():
        session = await Client(real.url).open("slowenv", task={"setup": 0})
        result = await session.call("nap", {"seconds": 0.01})
        await session.close()
        return result.blocks[0].text

    async def together():
        return await asyncio.gather(*(nap() for _ in range(16)))

    assert run(together()) == ["slept"] * 16
