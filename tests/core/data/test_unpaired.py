"""Pairs taken apart, labels checked and counted."""

import pytest
from datasets import Dataset

from trainwright.data.unpaired import Labels, count_labels, is_paired, unpair, with_labels
from trainwright.errors import DataError

PAIRS = [{"prompt": f"p{n}", "chosen": f"c{n}", "rejected": f"r{n}", "id": n} for n in range(3)]
SAID = {"role": "user", "content": "Is it?"}


def answer(text):
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize("streamed", [False, True])
def test_the_two_answers_of_a_pair_stand_together(streamed):
    data = Dataset.from_list(PAIRS)
    found = list(unpair(data.to_iterable_dataset() if streamed else data))
    assert [row["completion"] for row in found] == ["c0", "r0", "c1", "r1", "c2", "r2"]
    assert [row["label"] for row in found] == [True, False] * 3
    assert [(row["prompt"], row["id"]) for row in found] == [(f"p{n}", n) for n in range(3) for _ in range(2)]
    assert set(found[0]) == {"prompt", "completion", "label", "id"}


def test_a_prompt_that_both_answers_begin_with_is_taken_out():
    data = Dataset.from_list([{"chosen": [SAID, answer("Yes")], "rejected": [SAID, answer("No")]}])
    yes, no = unpair(data)
    assert yes["prompt"] == no["prompt"] == [SAID]
    assert (yes["completion"], no["completion"]) == ([answer("Yes")], [answer("No")])


def test_what_is_paired():
    assert is_paired(Dataset.from_list(PAIRS))
    assert is_paired(Dataset.from_list(PAIRS).to_iterable_dataset().map(lambda row: row))
    assert not is_paired(Dataset.from_list([{"chosen": "a", "label": True}]))


@pytest.mark.parametrize("labels", [[True, False, True], [1, 0, 1]])
def test_labels_are_booleans(labels):
    found = with_labels(Dataset.from_dict({"label": labels}), "data.train")
    assert found["label"] == [True, False, True]
    assert found.features["label"].dtype == "bool"


@pytest.mark.parametrize(
    ("labels", "named"), [(["yes", "no"], "'yes', 'no'"), ([2, 1], "2"), ([True, None], "None"), ([0.5], "0.5")]
)
@pytest.mark.parametrize("streamed", [False, True])
def test_other_labels_are_refused(labels, named, streamed):
    data = Dataset.from_dict({"label": labels})
    if streamed:  # of a stream the first row is looked at
        named = named.split(",")[0]
        data = data.select([labels.index(next(label for label in labels if label not in (True, False)))])
        data = data.to_iterable_dataset()
    with pytest.raises(DataError, match=f"labels are true or false, and here are others: {named}") as caught:
        with_labels(data, "data.eval")
    assert caught.value.problems[0].where == "data.eval"


@pytest.mark.parametrize("streamed", [False, True])
def test_rows_without_labels_are_refused(streamed):
    data = Dataset.from_dict({"prompt": ["a"], "thumb": [True]})
    with pytest.raises(DataError, match=r"no `label`, nor `chosen` and `rejected`: they have prompt, thumb"):
        with_labels(data.to_iterable_dataset() if streamed else data, "data.train")


def test_labels_are_counted():
    assert count_labels(Dataset.from_dict({"label": [True, False, True]})) == Labels(2, 1)
    assert count_labels(Dataset.from_list(PAIRS)) == Labels(3, 3, pairs=3)
    assert count_labels(Dataset.from_dict({"text": ["a"]})) is None
    assert count_labels(Dataset.from_dict({"label": [True]}).to_iterable_dataset()) is None
    assert str(Labels(3, 3, pairs=3)) == "3 desirable and 3 undesirable rows of 3 pairs"
