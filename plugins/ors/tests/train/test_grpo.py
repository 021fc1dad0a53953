"""GRPO against real servers, with TRL's own trainer and with episodes side by side."""

import json
import re

import pytest
from ors_scripted import SideBySide, all_ended, say, trainer
from trl import GRPOTrainer

from trainwright.testing import tiny_model
from trainwright_ors import episode, rollout
from trainwright_ors.client import OrsError


def adds(prompt, turn):
    """Add by the tool, hand the sum in, go on talking."""
    a, b = re.findall(r"What is (\d+) \+ (\d+)", prompt)[-1]
    if turn == 0:
        return say("add", a=int(a), b=int(b))
    return say("submit", answer=re.findall(r"<tool_response>\n(-?\d+)", prompt)[-1]) if turn == 1 else "done"


@pytest.mark.parametrize("base", [GRPOTrainer, SideBySide])
def test_a_run_scores_logs_and_leaves_no_session(real, spec_of, tmp_path, base):
    spec = spec_of(real, "mathenv")
    made = trainer(base, adds, spec, tmp_path, steps=2)
    made.train()
    assert made.rewards_seen == [[1.0]] * 8
    last = made.state.log_history[-2]
    assert (last["env/calls"], last["env/failed_calls"], last["env/finished"]) == (2.0, 0.0, 1.0)
    assert (last["env/reward/mathenv"], last["env/lost"], last["tools/failure_frequency"]) == (1.0, 0.0, 0.0)
    assert last["env/call_seconds"] > 0
    spec.close()
    assert all_ended(real, "mathenv")


def test_failed_calls_are_counted_and_the_model_is_told(real, spec_of, tmp_path):
    def script(prompt, turn):
        return say("add", b=1) if turn == 0 else "done"

    made = trainer(SideBySide, script, spec_of(real, "mathenv"), tmp_path)
    made.train()
    last = made.state.log_history[-2]
    assert (last["tools/failure_frequency"], last["env/failed_calls"]) == (1.0, 1.0)
    assert "env/call_seconds" not in last
    assert any("Tool input validation error" in prompt for prompt in made.prompts_seen)


def test_two_seeded_runs_see_and_score_the_same(real, spec_of, tmp_path):
    def script(prompt, turn):
        a = int(re.findall(r"What is (\d+)", prompt)[-1])
        return (say("add", b=1), say("give", reward=a / 4), say("add", a=a))[turn] if turn < 3 else "done"

    runs = []
    for _ in range(2):
        made = trainer(SideBySide, script, spec_of(real, "mathenv", seed=3), tmp_path, steps=3, seed=3)
        made.train()
        runs.append((made.prompts_seen, made.rewards_seen))
    assert runs[0] == runs[1]
    assert len({reward for (reward,) in runs[0][1]}) > 1


class Counted:
    """Around a coroutine function: how many run at once at most."""

    def __init__(self, function):
        self.function, self.now, self.most = function, 0, 0

    def wrapped(self):
        async def counting(*args, **keywords):
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                return await self.function(*args, **keywords)
            finally:
                self.now -= 1

        return counting


def test_set_ups_and_calls_of_a_batch_run_side_by_side(real, spec_of, tmp_path, monkeypatch):
    def script(prompt, turn):
        return say("once", nonce=f"{turn}", seconds=0.3) if turn < 2 else "done"

    opens, calls = Counted(rollout._open), Counted(rollout.Session.call)
    monkeypatch.setattr(rollout, "_open", opens.wrapped())
    monkeypatch.setattr(rollout.Session, "call", calls.wrapped())
    spec = spec_of(real, "mathenv")
    made = trainer(SideBySide, script, spec, tmp_path, batch=8, generations=4)
    before = len(real.events("once"))
    made._generate_and_score_completions([spec.dataset[index % 5] for index in range(8)])
    assert (opens.most, calls.most) == (8, 8)
    assert len(real.events("once")) - before == 16


def test_trls_own_trainer_has_its_sessions_opened_ahead(real, spec_of, tmp_path, monkeypatch):
    opens = Counted(rollout._open)
    monkeypatch.setattr(rollout, "_open", opens.wrapped())
    spec, before = spec_of(real, "mathenv"), len(real.events("setup"))
    trainer(GRPOTrainer, adds, spec, tmp_path, batch=4, steps=2, args={"gradient_accumulation_steps": 2}).train()
    assert opens.most >= 4
    spec.close()
    assert all_ended(real, "mathenv")
    assert len(real.events("setup")) - before <= 24  # a batch of eight for each step, and one that was looked ahead to


@pytest.mark.parametrize(("base", "told"), [(GRPOTrainer, 1), (SideBySide, 0)])
def test_a_trainer_that_calls_tools_one_by_one_is_told_so_once(real, spec_of, tmp_path, caplog, base, told):
    episode._say_how_to_overlap.cache_clear()
    trainer(base, adds, spec_of(real, "mathenv"), tmp_path).train()
    assert caplog.text.count("class Trainer(Episodes, GRPOTrainer)") == told


def test_each_prompt_shows_the_tools_of_its_task(real, spec_of, tmp_path):
    def script(prompt, turn):
        number = int(re.findall(r'"number": (\d+)', prompt)[-1])
        return say(f"hint_{'odd' if number % 2 else 'even'}") if turn == 0 else "done"

    made = trainer(SideBySide, script, spec_of(real, "tasktoolenv"), tmp_path, steps=2)
    made.train()
    assert made.state.log_history[-2]["tools/failure_frequency"] == 0.0
    for prompt in made.prompts_seen:
        odd = int(re.findall(r'"number": (\d+)', prompt)[-1]) % 2
        assert ('"hint_odd"' in prompt, '"hint_even"' in prompt) == (bool(odd), not odd)


def test_mixed_environments_each_show_their_own_tools(real, spec_of, tmp_path):
    spec = spec_of(real, mix=[{"environment": "mathenv"}, {"environment": "tasktoolenv"}])
    made = trainer(SideBySide, lambda *_: "done", spec, tmp_path, steps=4)
    made.train()
    for prompt in made.prompts_seen:
        assert ('"subtract"' in prompt, '"shared"' in prompt) == ("What is" in prompt, "What is" not in prompt)
    logged = {name for entry in made.state.log_history for name in entry}
    assert {"env/reward/mathenv", "env/reward/tasktoolenv"} <= logged


def test_strict_ends_the_run_and_names_the_task(real, spec_of, tmp_path):
    made = trainer(SideBySide, lambda *_: "done", spec_of(real, "brokenenv"), tmp_path)
    with pytest.raises(OrsError, match=r"environment 'brokenenv', task train\[\d\].*setup boom"):
        made.train()


def test_substitute_leaves_lost_rollouts_out_of_their_group(real, spec_of, tmp_path):
    """One tool of one rollout never ends: it has no score, the others have theirs, and the run goes on."""
    calls = []

    def script(prompt, turn):
        calls.append(turn)
        return say("forever") if len(calls) == 1 else "done"

    spec = spec_of(real, "faultyenv", failures="substitute", no_reward=1.0, deadlines={"total": 1.0, "setup": 1.0})
    made = trainer(SideBySide, script, spec, tmp_path)
    made.train()
    scores = [reward for (reward,) in made.rewards_seen]
    assert sorted(scores, key=str) == [1.0, 1.0, 1.0, scores[0]]
    assert scores[0] != scores[0]  # NaN: no score
    assert made.state.log_history[-2]["env/lost"] == 0.25
    assert made.state.log_history[-2]["grad_norm"] == 0.0  # all that were scored are equal


def test_a_real_environment_of_odd_tools_is_played(real, spec_of, tmp_path):
    """Tools named `reset`, `get_reward` and with a dot, a schema with `$ref`, a description that looks like code."""
    given = [
        say("fs.read-file", a=3), say("reset", a=4), say("get_reward", a=5),
        say("echo", kind="b", **{"from": "f"}, points=[{"x": 1}]),
    ]  # fmt: skip

    def script(prompt, turn):
        return "\n".join(given) if turn == 0 else "done"

    model = tiny_model("qwen2.5", max_position_embeddings=16_384)
    args = {"max_completion_length": 8_000}
    made = trainer(SideBySide, script, spec_of(real, "richenv", images="omit"), tmp_path, args=args, model=model)
    made.train()
    said = re.findall(r"<tool_response>\n(.*?)\n</tool_response>", made.prompts_seen[-1], re.DOTALL)
    assert said[:3] == ["read 3", "a tool 4", "a tool 5"]
    assert json.loads(said[3])["given"] == ["kind", "points", "word"]
    assert made.state.log_history[-2]["tools/failure_frequency"] == 0.0
