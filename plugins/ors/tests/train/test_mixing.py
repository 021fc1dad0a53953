"""The order of tasks: each once, or by weight; the same for a seed."""

import numpy as np
import pytest

from trainwright_ors.mixing import arrange, chosen


def pairs(*given):
    source, index = arrange(*given)
    return list(zip(source.tolist(), index.tolist(), strict=True))


@pytest.mark.parametrize(
    ("count", "num", "indices", "wanted"),
    [(3, None, None, [0, 1, 2]), (5, 2, None, [0, 1]), (2, 9, None, [0, 1]), (5, None, [4, 0], [4, 0])],
)
def test_tasks_are_chosen(count, num, indices, wanted):
    assert chosen(count, num, indices).tolist() == wanted


def test_without_weights_each_task_comes_once_in_an_order_of_the_seed():
    tasks = [np.arange(40), np.arange(60)]
    assert sorted(pairs(tasks, None, 1)) == pairs(tasks, None, None)
    assert pairs(tasks, None, 1) == pairs(tasks, None, 1) != pairs(tasks, None, 2)


def test_weights_are_shares_of_the_rows_and_a_source_repeats_its_tasks_evenly():
    tasks = [np.arange(10), np.arange(90)]
    rows = pairs(tasks, [3.0, 1.0], 0)
    counts = [sum(source == number for source, _ in rows) for number in (0, 1)]
    assert counts == [75, 25]
    times = np.bincount([index for source, index in rows if source == 0])
    assert (times.min(), times.max()) == (7, 8)
    assert len({index for source, index in rows if source == 1}) == 25


def test_a_source_of_little_weight_is_not_left_out():
    assert sum(source == 0 for source, _ in pairs([np.arange(3), np.arange(3)], [1e-9, 1.0], 0)) == 1


def test_a_million_tasks_take_ten_bytes_each():
    source, index = arrange([np.arange(1_000_000)], None, 0)
    assert source.nbytes + index.nbytes == 10_000_000
