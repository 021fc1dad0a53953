"""What AsyncGRPO asks of a spec: pickled into a process of its own, called in threads, scored by `get_reward`."""

import multiprocessing
import pickle

import pytest
from ors_scripted import all_ended
from ors_worker import begin_only, play

from trainwright_ors.client import OrsError


def test_a_spawned_worker_plays_its_rollouts_and_leaves_no_session(real, spec_of):
    spec = spec_of(real, "mathenv", num_tasks=4)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    worker = context.Process(target=play, args=(pickle.dumps((spec.dataset, spec.scoring_factory)), results))
    worker.start()
    shown, sums, scores, again = results.get(timeout=120)
    worker.join(60)
    indices = spec.dataset[:]["task_index"]
    assert shown == [f"What is {index} + {10 * index}?" for index in indices]
    assert (sums, scores, again) == (["5"] * 4, [0.5] * 4, [None] * 4)
    assert all_ended(real, "mathenv")


def test_a_worker_that_ends_in_the_middle_leaves_no_session(real, spec_of):
    spec = spec_of(real, "mathenv", num_tasks=2)
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=begin_only, args=(pickle.dumps((spec.dataset, spec.scoring_factory)),))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    assert all_ended(real, "mathenv")


def test_answers_are_scored_without_episodes_where_models_call_no_tools(real, spec_of):
    spec = spec_of(real, "bigenv", answer_tool={"name": "submit", "arg": "answer"})
    columns = spec.dataset[:3]
    said = [str(columns["task_index"][0] + 1), "no", str(columns["task_index"][2] + 1)]
    columns.pop("prompt")
    assert spec.reward_func(prompts=[""] * 3, completions=said, **columns) == [1.0, 0.0, 1.0]
    spec.close()
    assert all_ended(real, "bigenv")


def test_a_worker_whose_session_cannot_be_set_up_says_so(real, spec_of):
    spec = spec_of(real, "brokenenv")
    with pytest.raises(OrsError, match="setup boom"):
        spec.scoring_factory().reset(**spec.dataset[0])
