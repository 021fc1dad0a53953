"""Both real servers, through lost connections, blocking tools, and processes that end."""

import asyncio
import signal
import subprocess
import sys

import httpx
import pytest
from ors_cuts import call_through_cuts
from ors_real import RealServer

from trainwright_ors.client import Client, Deadline, Deadlines, OutcomeUnknown, SessionGone, run

OPEN = """
import os, signal, threading
from trainwright_ors.client import Client, run
client = Client({url!r})
for n in range(3):
    run(run(client.open("mathenv", split="train", index=n)).prompt())
print("ready", flush=True)
"""
EXITS = {
    "normal": ("", 0),
    "exception": ("raise RuntimeError", 1),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); threading.Event().wait(30)", -signal.SIGTERM),
    "Ctrl-C": ("os.kill(os.getpid(), signal.SIGINT); threading.Event().wait(30)", -signal.SIGINT),
}


def test_no_tool_runs_twice_however_connections_are_cut(real):
    tally = call_through_cuts(real.url, calls=150, seed=11)
    executed = real.executions()
    ours = {nonce: count for nonce, count in executed.items() if nonce.startswith("11-")}
    assert not {nonce for nonce, count in ours.items() if count > 1}
    assert tally.answered <= set(ours)
    assert not tally.refused & set(ours)
    assert len(tally.answered | tally.unknown | tally.refused) == 150
    assert min(tally.cut, tally.resumed) > 50, "the cuts did not reach all that they are to reach"


@pytest.mark.parametrize("name", EXITS)
def test_no_session_is_left_at_an_exit(real, name):
    end, code = EXITS[name]
    before, begun = real.alive(), len(real.events("setup"))
    script = OPEN.format(url=real.url) + end
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert len(real.events("setup")) == begun + 3
    assert real.alive() == before


@pytest.mark.parametrize("kind", ["ors", "openreward"])
def test_after_sigkill_sessions_live_as_long_as_the_server_lets_them(kind):
    with RealServer(kind, ttl=1.5) as server:
        script = OPEN.format(url=server.url) + "threading.Event().wait(60)"
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        assert server.alive() == 3
        process.kill()
        process.communicate()
        assert server.all_gone(within=20)


@pytest.mark.parametrize("kind", ["ors", "openreward"])
def test_signs_of_life_keep_a_session_through_a_call_longer_than_its_life(kind):
    with RealServer(kind, ttl=1.0) as server:
        client = Client(server.url, deadlines=Deadlines(ping=0.2))
        session = run(client.open("slowenv", task={"setup": 0}))
        run(session.call("nap", {"seconds": 2.5}))
        run(session.call("nap", {"seconds": 0}))
        run(session.close())
        assert server.alive() == 0


def test_a_tool_that_blocks_for_longer_than_the_idle_deadline_runs_to_its_end(real):
    client = Client(real.url, deadlines=Deadlines(idle=0.5, total=30))
    session = run(client.open("slowenv", task={"setup": 0}))
    result = run(session.call("block", {"seconds": 2.0}))
    assert result.blocks[0].text == "blocked"
    run(session.close())


@pytest.mark.parametrize("tool", ["forever", "cancelled"])
def test_a_tool_that_never_returns_does_not_hold_the_session_s_end_up(real, tool):
    """`cancelled` raises what servers do not catch, and its stream never ends either."""
    before = real.alive()
    session = run(Client(real.url, deadlines=Deadlines(total=0.5, setup=0.1)).open("faultyenv", task={}))
    with pytest.raises(Deadline):
        run(session.call(tool, {}))
    with pytest.raises(OutcomeUnknown):
        run(session.call("fine", {}))
    run(session.close())
    assert real.alive() == before


def test_a_slow_setup_is_waited_for_by_the_prompt_and_by_a_call(real):
    async def both():
        client = Client(real.url)
        sessions = [await client.open("slowenv", task={"setup": 1.0}) for _ in range(2)]
        await sessions[0].prompt()
        assert (await sessions[1].call("nap", {"seconds": 0})).blocks[0].text == "slept"
        for session in sessions:
            await session.close()

    run(both())


def test_a_session_that_somebody_else_ended_is_gone(real):
    session = run(Client(real.url).open("mathenv", split="train", index=0))
    run(session.call("add", {"a": 1}))
    httpx.post(f"{real.url}/delete", headers={"X-Session-ID": session.sid}).raise_for_status()
    with pytest.raises(SessionGone, match=r"mathenv.*train\[0\].*'add'"):
        run(session.call("add", {"a": 1}))
    assert session.gone
    run(session.close())


def test_a_session_that_is_ended_while_it_is_set_up_is_gone(real):
    session = run(Client(real.url).open("slowenv", task={"setup": 1.0}, label="slow"))

    async def both():
        waiting = asyncio.ensure_future(session.prompt())
        await asyncio.sleep(0.3)
        async with httpx.AsyncClient() as other:
            (await other.post(f"{real.url}/delete", headers={"X-Session-ID": session.sid})).raise_for_status()
        await waiting

    with pytest.raises(SessionGone, match="environment 'slowenv', task slow"):
        run(both())
    run(session.close())


@pytest.mark.parametrize("kind", ["ors", "openreward"])
def test_a_server_that_is_killed_in_the_middle_of_a_call_leaves_its_outcome_unknown(kind):
    with RealServer(kind) as server:
        client = Client(server.url, deadlines=Deadlines(connect=0.5, resume=1.0, close=0.5))
        session = run(client.open("slowenv", task={"setup": 0}))

        async def killed():
            calling = asyncio.ensure_future(session.call("nap", {"seconds": 30}))
            await asyncio.sleep(0.5)
            server.process.kill()
            await calling

        with pytest.raises(OutcomeUnknown, match=r"environment 'slowenv'.*tool 'nap'"):
            run(killed())
        run(session.close())


@pytest.mark.slow
def test_a_setup_that_is_slower_than_servers_wait_is_asked_about_again(real):
    """openreward answers 503 after 25 seconds; ors-sdk waits on."""
    session = run(Client(real.url).open("slowenv", task={"setup": 26.0}))
    assert run(session.prompt())
    run(session.close())
