"""Lost rollouts: the end of the run, or one score less; and when there are too many."""

import pickle

import pytest

from trainwright_ors.client import OrsError, SessionGone
from trainwright_ors.client.errors import Place
from trainwright_ors.failures import AT_LEAST, WINDOW, Failures, TooManyFailuresError

LOST = SessionGone("gone", Place("mathenv", "train[3]"))


def test_strict_raises_the_first():
    failures = Failures("strict", 1.0)
    failures.note(None)
    with pytest.raises(SessionGone, match=r"mathenv.*train\[3\]"):
        failures.note(LOST)


def test_substitute_goes_on_until_the_share_is_exceeded():
    failures = Failures("substitute", 0.25)
    for _ in range(75):
        failures.note(None)
    for _ in range(25):
        failures.note(LOST)
    with pytest.raises(TooManyFailuresError, match=f"26% of the last {WINDOW} rollouts") as caught:
        failures.note(LOST)
    assert "train[3]" in str(caught.value)


def test_a_few_rollouts_are_no_share():
    failures = Failures("substitute", 0.25)
    for _ in range(AT_LEAST - 1):
        failures.note(LOST)
    with pytest.raises(TooManyFailuresError):
        failures.note(LOST)


def test_what_is_long_past_does_not_count():
    failures = Failures("substitute", 0.5)
    for error in [None] * 90 + [LOST] * 50 + [None] * 100 + [LOST] * 50:
        failures.note(error)
    assert failures.lost == 100


@pytest.mark.parametrize("policy", ["strict", "substitute"])
def test_rollouts_in_which_nothing_works_keep_their_score_and_count(policy):
    failures = Failures(policy, 0.5)
    for _ in range(AT_LEAST - 1):
        failures.note(LOST, lost=False)
    with pytest.raises(TooManyFailuresError):
        failures.note(LOST, lost=False)
    assert failures.lost == 0


def test_a_copy_counts_for_itself():
    failures = Failures("substitute", 0.5)
    failures.note(LOST)
    assert pickle.loads(pickle.dumps(failures)).lost == 0


def test_a_session_that_cannot_be_set_up_is_tried_afresh(real, spec_of):
    before = len(real.events("setup"))
    spec = spec_of(real, "brokenenv", failures="substitute", retries=2)
    episode = spec.factory()
    assert episode.reset(**spec.dataset[0]) == ""
    assert len(real.events("setup")) - before == 3
    assert episode._score() is None
    assert spec.failures.lost == 1


def play_a_rollout_that_only_fails(spec):
    episode = spec.factory()
    episode.reset(environment="faultyenv", task_split="train", task_index=0)
    (boom,) = (tool for tool in episode._episode_tools() if tool.__name__ == "boom")
    assert boom.begin().exception() is not None
    return episode._score()


def test_every_tool_failing_ends_a_run_in_the_end(real, spec_of):
    spec = spec_of(real, "faultyenv", failures="substitute", max_failures=0.5)
    assert [play_a_rollout_that_only_fails(spec) for _ in range(AT_LEAST - 1)] == [0.0] * (AT_LEAST - 1)
    with pytest.raises(OrsError, match="100% of the last 20 rollouts failed"):
        play_a_rollout_that_only_fails(spec)
