"""Each prompt with the completion of another row: never its own, and within the window wherever that can be."""

import numpy as np
import pytest
from datasets import Dataset

from trainwright.data.mismatched import COLUMN, partners, with_mismatched


def of(*prompts):
    return np.array(prompts, dtype=np.int64)


def rows(prompts):
    return [{"prompt_ids": [prompt], "completion_ids": [10 + number]} for number, prompt in enumerate(prompts)]


def test_completions_go_round_within_each_window():
    assert partners(of(1, 2, 3, 4, 5, 6, 7), 3).tolist() == [2, 0, 1, 5, 3, 4, 5]


def test_a_last_window_of_one_row_takes_the_row_before():
    assert partners(of(1, 2, 3), 2).tolist() == [1, 0, 1]
    assert partners(of(3, 2, 3), 2).tolist() == [1, 0, 1]


def test_pairs_taken_apart_exchange_answers_of_both_kinds():
    found = partners(of(1, 1, 2, 2, 3, 3), 6)  # chosen and rejected in turn
    assert found.tolist() == [4, 5, 0, 1, 2, 3]


@pytest.mark.parametrize("window", [1, 2, 3, 8, 50])
def test_no_prompt_meets_its_own_completion(window):
    random = np.random.default_rng(window)
    for size in (2, 5, 17, 40):
        prompts = random.integers(0, 4, size)
        if len(set(prompts.tolist())) > 1:
            assert (prompts[partners(prompts, window)] != prompts).all()


@pytest.mark.parametrize("window", [3, 8])
def test_a_window_of_different_prompts_exchanges_its_own_completions(window):
    found = partners(np.arange(24), window)
    for start in range(0, 24, window):
        assert sorted(found[start : start + window].tolist()) == list(range(start, start + window))


def test_rows_of_one_prompt_exchange_completions_nevertheless():
    assert partners(of(5, 5, 5), 2).tolist() == [2, 0, 1]
    assert partners(of(5), 4).tolist() == [0]
    assert partners(of(), 4).tolist() == []


@pytest.mark.parametrize("filtered", [False, True])
def test_the_column(filtered):
    data = Dataset.from_list(rows([1, 2, 3, 9, 4]))
    data = data.filter(lambda row: row["prompt_ids"] != [9]) if filtered else data.select([0, 1, 2, 4])
    made = with_mismatched(data, 2)
    assert made[COLUMN] == [[11], [10], [14], [12]]
    assert made["completion_ids"] == [[10], [11], [12], [14]]
    assert with_mismatched(made, 4)[COLUMN] == [[14], [10], [11], [12]], "another window replaces it"


def test_it_is_the_same_in_every_process():
    made = [with_mismatched(Dataset.from_list(rows([1, 2, 1, 3])), 2) for _ in range(2)]
    assert made[0]._fingerprint == made[1]._fingerprint


def test_a_row_alone_has_no_other():
    assert COLUMN not in with_mismatched(Dataset.from_list(rows([1])), 4).column_names


def test_a_stream_is_paired_a_window_at_a_time():
    stream = Dataset.from_list(rows([1, 2, 3, 4, 5])).to_iterable_dataset()
    assert [row[COLUMN] for row in with_mismatched(stream, 2)] == [[11], [10], [13], [12], [13]]


def test_a_row_of_a_stream_that_finds_no_other_gets_an_empty_one():
    stream = Dataset.from_list(rows([7, 8, 8])).to_iterable_dataset()
    assert [row[COLUMN] for row in with_mismatched(stream, 1)] == [[], [10], []]
