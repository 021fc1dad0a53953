"""Calls that are lost in real GRPO runs: the run's end under `strict`, one score less under `substitute`."""

import math
import re

import pytest
from ors_scripted import SideBySide, say, trainer
from trl import GRPOTrainer

from trainwright_ors.client import Deadline, HttpRefused, OutcomeUnknown, ProtocolError, SessionGone, close_all
from trainwright_ors.failures import TooManyFailuresError
from trainwright_ors.testing import FakeEnvironment, FakeServer, FakeTool, Output, faults

GONE = faults.status(404, "Active environment not found")
LOSSES = {
    "cut before it has a name": (faults.cut(0), OutcomeUnknown, "may have run"),
    "cut behind its name, then forgotten": (faults.cut_after_event("task_id"), OutcomeUnknown, "no longer keeps"),
    "its session expired": (GONE, SessionGone, "no longer knows the session"),
    "it never returns": (faults.hang(), OutcomeUnknown, "fell silent|did not answer"),
    "its stream never ends": (faults.endless(b": ping\r\n\r\n"), Deadline, "gave no result within"),
    "no stream at all": (faults.replaced(b"<html>", "text/html"), ProtocolError, "'text/html'"),
    "refused": (faults.status(403, "not yours"), HttpRefused, "not yours"),
}
QUICK = {"idle": 2.0, "total": 4.0, "setup": 20.0, "resume": 2.0, "close": 2.0}
"""Soon over, and long enough for the calls that no fault hits on a machine that is busy."""


@pytest.fixture
def server():
    """A server with one tool; its sessions are ended before it is."""
    give = FakeTool("give", lambda given: Output("given", reward=1.0, finished=True))
    with FakeServer([FakeEnvironment("lossyenv", [give])], linger=0.0) as made:
        yield made
        close_all()


def gives(prompt, turn):
    return say("give") if turn == 0 else "done"


@pytest.mark.parametrize("base", [GRPOTrainer, SideBySide])
@pytest.mark.parametrize("loss", LOSSES)
def test_strict_ends_the_run_by_environment_task_and_tool(server, spec_of, tmp_path, loss, base):
    fault, kind, said = LOSSES[loss]
    server.inject("call", fault, times=1, skip=4)
    made = trainer(base, gives, spec_of(server, deadlines=QUICK), tmp_path, steps=4)
    with pytest.raises(kind, match=rf"environment 'lossyenv', task train\[\d\], tool 'give': .*({said})"):
        made.train()
    assert made.state.global_step == 1  # the first step's four calls went well
    assert server.executed("give") <= 8
    made.reward_funcs[0]._spec.close()
    assert not server.sessions


@pytest.mark.parametrize("loss", LOSSES)
def test_substitute_leaves_the_rollout_out_and_goes_on(server, spec_of, tmp_path, loss):
    fault, _, _ = LOSSES[loss]
    server.inject("call", fault, times=1, skip=1)
    spec = spec_of(server, failures="substitute", deadlines=QUICK)
    made = trainer(SideBySide, gives, spec, tmp_path, steps=2)
    made.train()
    scores = [score for (score,) in made.rewards_seen]
    assert sorted(scores, key=math.isnan)[:7] == [1.0] * 7
    assert math.isnan(sorted(scores, key=math.isnan)[7])
    lost = [row["env/lost"] for row in made.state.log_history if "env/lost" in row]
    assert (lost, spec.failures.lost) == ([0.25, 0.0], 1)
    told = [prompt for prompt in made.prompts_seen if "'error':" in prompt]
    assert len(told) == 1
    assert not re.search("http|127.0.0.1|[0-9a-f]{8}-[0-9a-f]{4}", told[0].partition("<tool_response>")[2])


def test_too_many_lost_calls_end_the_run_all_the_same(server, spec_of, tmp_path):
    server.inject("call", GONE)
    made = trainer(SideBySide, gives, spec_of(server, failures="substitute"), tmp_path, batch=8, steps=9)
    with pytest.raises(TooManyFailuresError, match=r"environment 'lossyenv', task train\[\d\].*100% of the last 20"):
        made.train()
    assert made.state.global_step == 2
