"""However a process ends, short of SIGKILL, it leaves no session on the server."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from ors_raw import event, head

BEGIN = """
    import os, signal, sys, threading
    from trainwright_ors.client import Client, Deadlines, run
    client = Client({url!r}, {settings})
    sessions = [run(client.open("mathenv", split="train", index=n)) for n in range(3)]
    print("ready", flush=True)
"""
ENDS = {
    "normal end": ("", 0),
    "exception": ("raise RuntimeError('mine')", 1),
    "sys.exit in a call": ("run(sessions[0].prompt()); sys.exit(3)", 3),
    "SIGTERM while waiting": ("os.kill(os.getpid(), signal.SIGTERM); threading.Event().wait(30)", -signal.SIGTERM),
    "SIGTERM within a call": (
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start(); run(sessions[0].call('slow', {}))",
        -signal.SIGTERM,
    ),
    "SIGHUP": ("os.kill(os.getpid(), signal.SIGHUP); threading.Event().wait(30)", -signal.SIGHUP),
    "Ctrl-C within a call": (
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start(); run(sessions[0].call('slow', {}))",
        -signal.SIGINT,
    ),
    "somebody else's handler": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); os.kill(os.getpid(), signal.SIGTERM)",
        7,
    ),
    "sessions opened in a thread": (
        "t = threading.Thread(target=lambda: run(client.open('mathenv', split='train', index=9))); t.start(); t.join()",
        0,
    ),
    "a child that was forked ends first": (
        "pid = os.fork()\nif not pid: sys.exit(0)\nos.waitpid(pid, 0); run(sessions[0].prompt())",
        0,
    ),
}


def start(raw, end, settings="", host="127.0.0.1"):
    url = raw.url.replace("127.0.0.1", host)
    script = textwrap.dedent(BEGIN).format(url=url, settings=settings) + end
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def never_ending(asked):
    async def answer():
        yield head() + event("task_id", "t1")
        await asyncio.sleep(60)

    return answer()


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of POSIX")
def test_no_session_is_left(raw, name):
    end, code = ENDS[name]
    raw.answers["call"] = never_ending
    process = start(raw, end)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert raw.paths().count("POST /create") >= 3
    assert not raw.alive


def test_names_are_still_resolved_at_the_end(raw):
    """The loop's executor takes no more work then, and a connection that was kept is too old."""
    process = start(raw, "import time; time.sleep(4)", host="localhost")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert not raw.alive


def test_after_sigkill_there_are_no_more_signs_of_life(raw):
    """Which is what makes a server drop the session; what else could be done is not done by the dead."""
    process = start(raw, "threading.Event().wait(60)", "deadlines=Deadlines(ping=0.05)")
    assert process.stdout.readline() == "ready\n"
    end = time.monotonic() + 30
    while raw.paths().count("POST /ping") < 6:
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)
    asked = len(raw.asked)
    time.sleep(0.5)
    assert len(raw.asked) == asked
    assert len(raw.alive) == 3


def test_a_server_that_does_not_answer_holds_nobody_up(raw):
    async def silent():
        await asyncio.sleep(60)
        yield b""

    raw.answers["delete"] = lambda asked: silent()
    process = start(raw, "", "deadlines=Deadlines(close=0.5)")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "could not be ended" in errors
