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


@pytest.mark.parametrize(("name", "said"), [("boom", "tool boom\nsecond line"), ("sync_boom", "sync boom")])
def test_a_tool_that_raises(real, name, said):
    session = run(Client(real.url).open("faultyenv", split="train", index=0))
    with pytest.raises(ToolFailed) as caught:
        run(session.call(name, {}))
    assert said in caught.value.detail
    assert run(session.call("fine", {})).blocks[0].text == "fine"
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
