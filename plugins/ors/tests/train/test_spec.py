"""A spec against both real servers: tasks, errors, pickling, rewards."""

import pickle

import pytest

from trainwright_ors.client import OrsError
from trainwright_ors.episode import ToolError
from trainwright_ors.spec import OrsSpec

ROW = {"environment": "mathenv", "task_split": "train", "task_index": 3}


def begun(spec, **row):
    episode = spec.factory()
    shown = episode.reset(**(ROW | row))
    return episode, shown, {tool.__name__: tool for tool in episode._episode_tools()}


def test_rows_name_their_tasks_and_the_session_is_of_that_task(real, spec_of):
    spec = spec_of(real, "MathEnv", system="Be brief.")
    rows = list(spec.dataset)
    assert sorted(row["task_index"] for row in rows) == [0, 1, 2, 3, 4]
    assert rows[0]["prompt"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ""}]
    for row in rows:
        index = row["task_index"]
        assert spec.factory().reset(**row) == f"What is {index} + {10 * index}?"


@pytest.mark.parametrize(
    ("settings", "indices"),
    [
        ({"num_tasks": 2, "shuffle": False}, [0, 1]),
        ({"indices": [4, 1], "shuffle": False}, [4, 1]),
        ({"split": "hard", "shuffle": False}, [0, 1]),
    ],
)
def test_the_tasks_asked_for(real, spec_of, settings, indices):
    assert spec_of(real, "mathenv", **settings).dataset[:]["task_index"] == indices


def test_the_order_is_the_seeds(ors_server, spec_of):
    orders = [spec_of(ors_server, "bigenv", seed=seed).dataset[:50]["task_index"] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_environments_are_mixed_by_weight_each_with_its_factory(real, spec_of):
    mix = [{"environment": "mathenv", "weight": 3}, {"environment": "slowenv", "split": "hard", "weight": 1}]
    spec = spec_of(real, mix=mix)
    names = spec.dataset[:]["environment"]
    assert (names.count("mathenv"), names.count("slowenv")) == (5, 2)
    assert list(spec.factory) == ["mathenv", "slowenv"]
    assert type(spec.factory["mathenv"]()) is not type(spec.factory["slowenv"]())


def test_the_tasks_evaluated_on_keep_the_servers_order(real, spec_of):
    assert spec_of(real, "mathenv", eval_split="hard").eval_dataset[:]["task_index"] == [0, 1]
    assert spec_of(real, "mathenv").eval_dataset is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "several environments"),
        ({"environment": "nope"}, "no environment 'nope'"),
        ({"environment": "mathenv", "split": "nope"}, "no split 'nope'\n.*it has: train, hard"),
        ({"environment": "mathenv", "indices": [5]}, "has 5 tasks, and no index 5"),
    ],
)
def test_what_the_server_does_not_have_is_told_with_what_it_has(real, spec_of, settings, said):
    with pytest.raises(OrsError, match=said):
        _ = spec_of(real, **settings).dataset


def test_nothing_is_there_to_be_reached(spec_of):
    with pytest.raises(OrsError, match="the ORS server"):
        _ = OrsSpec("http://127.0.0.1:9", deadlines={"connect": 0.2}).dataset


def test_spec_factory_and_reward_function_are_pickled_secrets_unseen(real, spec_of):
    spec = spec_of(real, "mathenv", secrets={"K": "secret-value"}, api_key="key-value-1")
    _ = spec.plan
    for made in pickle.loads(pickle.dumps([spec.factory, spec.scoring_factory, spec.reward_func])):
        assert made._spec.__dict__["plan"].identity == spec.plan.identity  # what was asked is not asked again
    assert "secret-value" not in repr(spec.client) + repr(vars(spec))
    copy = pickle.loads(pickle.dumps(spec.scoring_factory))()
    assert copy.reset(**ROW) == "What is 3 + 30?"
    assert copy.tool_0000.__name__ == "add"
    assert copy.tool_0000(a=1) == "2"
    assert copy.get_reward() == 0.0
    copy._spec.close()


@pytest.mark.parametrize(("reducer", "score"), [("sum", 0.5), ("last", -0.5), ("mean", 0.125), ("max", 0.75)])
def test_rewards_of_calls_become_a_score(real, spec_of, reducer, score):
    episode, _, tools = begun(spec_of(real, "mathenv", reward=reducer))
    for reward in (0.25, 0.75, None, 0.0, -0.5):
        tools["give"](reward=reward)
    assert episode._score() == score
    assert episode._score() is None


def test_after_the_end_nothing_is_sent_and_the_score_stays(real, spec_of):
    episode, _, tools = begun(spec_of(real, "mathenv"))
    assert tools["submit"](answer="33") == "right"
    before = len(real.events("submit")) + len(real.events("give"))
    for call in (lambda: tools["submit"](answer="0"), lambda: tools["give"](reward=-5.0)):
        with pytest.raises(ToolError, match="the episode is over"):
            call()
    assert len(real.events("submit")) + len(real.events("give")) == before
    assert episode._score() == 1.0


@pytest.mark.parametrize(("nothing", "score"), [(0.0, 0.0), (-1.0, -1.0), (None, None)])
def test_a_rollout_without_any_reward(real, spec_of, nothing, score):
    episode, _, tools = begun(spec_of(real, "mathenv", no_reward=nothing))
    tools["add"](a=1)
    assert episode._score() == score


def test_calls_of_a_rollout_keep_their_order(real, spec_of):
    episode, _, tools = begun(spec_of(real, "mathenv", reward="last"))
    futures = [tools["give"].begin(reward=float(number)) for number in range(8)]
    assert [future.result() for future in futures] == ["given"] * 8
    assert episode._rollout.rewards == [float(number) for number in range(8)]


def test_each_task_has_its_own_tools(real, spec_of):
    spec = spec_of(real, "tasktoolenv")
    episode, _, tools = begun(spec, environment="tasktoolenv", task_index=1)
    assert sorted(tools) == ["hint_odd", "shared"]
    assert tools["hint_odd"]() == "odd"
    with pytest.raises(ToolError, match="no tool 'hint_even' in this task"):
        episode._begin_call("hint_even", {}).result()
    episode.reset(environment="tasktoolenv", task_split="train", task_index=2)
    assert sorted(tool.__name__ for tool in episode._episode_tools()) == ["hint_even", "shared"]


def test_what_fails_is_told_to_the_model_without_ids_and_addresses(real, spec_of):
    episode, _, tools = begun(spec_of(real, "faultyenv"), environment="faultyenv")
    with pytest.raises(ToolError) as caught:
        tools["boom"]()
    assert str(caught.value) == "tool boom\nsecond line"
    assert tools["fine"]() == "fine"
    assert episode._score() == 0.0


def test_images_are_shown_omitted_or_refused(real, spec_of):
    row = {"environment": "richenv"}
    _, shown, tools = begun(spec_of(real, "richenv", vision=True), **row)
    assert [part["type"] for part in shown] == ["text", "image", "text"]
    assert shown[0]["text"] == "Look:\u2028 here"
    assert shown[1]["image"].size == (1, 1)
    assert [part["type"] for part in tools["picture"]()] == ["text", "image"]
    _, shown, tools = begun(spec_of(real, "richenv", images="omit"), **row)
    assert shown == "Look:\u2028 here\n[image]\nend"
    with pytest.raises(OrsError, match=r"environment 'richenv', task train\[3\].*takes none"):
        begun(spec_of(real, "richenv"), **row)


def test_the_answer_goes_to_the_terminal_tool(openreward_server, spec_of):
    spec = spec_of(openreward_server, "terminalenv")
    episodes = [begun(spec, environment="terminalenv")[0] for _ in range(3)]
    said = [
        [
            {"role": "assistant", "content": "", "tool_calls": [1]},
            {"role": "tool"},
            {"role": "assistant", "content": "yes"},
        ],
        [{"role": "assistant", "content": "no"}],
        "yes",
    ]
    assert spec.reward_func(completions=said, environments=episodes, prompts=[]) == [1.0, 0.0, 1.0]
    with pytest.raises(OrsError, match="terminal tool"):
        _ = spec.scoring_factory


def test_a_tool_that_takes_the_answer_can_be_named(real, spec_of):
    spec = spec_of(real, "mathenv", answer_tool={"name": "submit", "arg": "answer"})
    episode, _, tools = begun(spec)
    assert "submit" not in tools
    assert spec.reward_func(completions=["33"], environments=[episode]) == [1.0]


def test_reward_functions_without_environments_are_told_what_to_do(real, spec_of):
    spec = spec_of(real, "mathenv")
    with pytest.raises(OrsError, match="scoring_factory"):
        spec.reward_func(completions=["33"])
