"""Masked data sets: labels per row, all refusals at once, and masks that would teach nothing."""

from __future__ import annotations

import json
import logging

import pytest
from datasets import Dataset, IterableDataset

from trainwright.errors import DataError
from trainwright.hooks import TemplateAnswer, Tokens
from trainwright.template.dataset import mask_dataset
from trainwright.template.mask import MaskingTokenizer


def rows(*answers):
    return [
        {"messages": [{"role": "user", "content": "Say it"}, {"role": "assistant", "content": answer}]}
        for answer in answers
    ]


@pytest.fixture
def answer(tokenizer):
    return TemplateAnswer(tokenize=MaskingTokenizer(tokenizer))


def mask(data, answer, **options):
    return mask_dataset(Dataset.from_list(data), answer, key="data.train", **options)


def learnt(tokenizer, row):
    return tokenizer.decode([label for label in row["labels"] if label != -100])


def test_labels_hold_what_the_assistant_says(tokenizer, answer):
    masked = mask(rows("Yes", "No way"), answer)
    assert masked.column_names == ["input_ids", "labels"]
    assert [learnt(tokenizer, row) for row in masked] == ["Yes<|im_end|>", "No way<|im_end|>"]
    for row in masked:
        assert all(label in (-100, token) for label, token in zip(row["labels"], row["input_ids"], strict=True))


@pytest.mark.parametrize(
    "row",
    [
        {"conversations": [{"from": "user", "value": "Say it"}, {"from": "assistant", "value": "Yes"}]},
        {"conversations": [{"role": "user", "content": "Say it"}, {"role": "assistant", "content": "Yes"}]},
        {"prompt": [{"role": "user", "content": "Say it"}], "completion": [{"role": "assistant", "content": "Yes"}]},
    ],
)
def test_every_conversational_format_masks_alike(row, answer):
    assert mask([row], answer)[0] == mask(rows("Yes"), answer)[0]


def test_turns_of_a_prompt_are_context_unless_the_whole_is_asked(tokenizer, answer):
    row = {
        "prompt": [*rows("First")[0]["messages"], {"role": "user", "content": "Again"}],
        "completion": [{"role": "assistant", "content": "Second"}],
    }
    assert learnt(tokenizer, mask([row], answer)[0]) == "Second<|im_end|>"
    both = mask([row], answer, completion_only=False)
    assert learnt(tokenizer, both[0]) == "First<|im_end|>Second<|im_end|>"


def test_tools_and_template_variables_of_a_row_are_used(tokenizer, answer):
    tokenizer.chat_template = "{% if tools %}{{ tools[0].name }}{% endif %} {{ mood }}" + tokenizer.chat_template
    answer = TemplateAnswer(tokenize=MaskingTokenizer(tokenizer))
    row = rows("Yes")[0] | {"tools": '[{"name": "look_up"}]', "chat_template_kwargs": {"mood": "glad"}}
    assert tokenizer.decode(mask([row], answer)[0]["input_ids"]).startswith("look_up glad<|im_start|>")


def test_all_refused_rows_are_reported_with_their_numbers(answer):
    data = rows("Yes", "No")
    data[0]["messages"] = data[0]["messages"][:1]
    data += rows(*["Fine"] * 30)
    for row in data[5:]:
        row["messages"] = row["messages"][:1]
    with pytest.raises(DataError) as caught:
        mask(data, answer)
    message = str(caught.value)
    assert "data.train: row 1: the conversation ends with a turn of role 'user'" in message
    assert "row 2:" not in message
    assert "data.train: row 6:" in message
    assert "8 more of 32 rows are refused" in message
    assert len(caught.value.problems) == 21


def test_refused_rows_of_a_file_have_their_lines(answer, tmp_path):
    from trainwright.config.models import DataSource, RunConfig
    from trainwright.template.places import file_places

    path = tmp_path / "data.jsonl"
    good, bad = rows("Yes")[0], {"messages": [{"role": "user", "content": "Say it"}]}
    path.write_text("\n".join(["", json.dumps(good), "", json.dumps(bad)]))
    source = DataSource(path=str(path))
    places = file_places(source, RunConfig(model="m", output="o"), "data.train")
    with pytest.raises(DataError) as caught:
        mask([good, bad], answer, places=places)
    assert [problem.where for problem in caught.value.problems] == [f"{path}:4"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "Hello"}, "the row has text"),
        ({"prompt": "Hello", "completion": " you"}, "`prompt` is str, not a list of messages"),
        ({"messages": [{"content": "Hi"}]}, "`messages\\[0\\]` has no role"),
        ({"messages": ["Hi"]}, "`messages\\[0\\]` is str, not a message"),
        ({"input_ids": [1, 2, 3]}, "tokenised already, without `labels`"),
        ({"messages": [{"role": "user", "content": "a"}], "images": ["b"]}, "rows with images"),
    ],
)
def test_rows_that_are_no_conversations(row, message, answer):
    with pytest.raises(DataError, match=message):
        mask([row], answer)


@pytest.mark.parametrize(("flag", "message"), [(0, "no token of the whole data set"), (1, "every token of the whole")])
def test_masks_that_teach_nothing_or_everything(flag, message, answer):
    constant = TemplateAnswer(tokenize=lambda messages, tools=None: Tokens([1, 2, 3], [flag] * 3))
    with pytest.raises(DataError, match=message):
        mask(rows("Yes"), constant)
    labelled = [{"input_ids": [1, 2], "labels": [1, 2] if flag else [-100, -100]}]
    with pytest.raises(DataError, match=message):
        mask(labelled, answer)


def test_labelled_rows_pass(answer):
    labelled = [{"input_ids": [1, 2], "labels": [-100, 2]}]
    assert mask(labelled, answer).to_list() == labelled


def test_a_mask_of_another_length_is_refused():
    wrong = TemplateAnswer(tokenize=lambda messages, tools=None: Tokens([1, 2, 3], [0, 1]))
    with pytest.raises(DataError, match="row 1: 3 tokens, but a mask of 2"):
        mask(rows("Yes"), wrong)


def test_rows_that_truncation_empties_are_counted(answer, caplog):
    data = rows("Yes", "No")
    data[0]["messages"][0]["content"] = "word " * 40
    with caplog.at_level(logging.WARNING):
        masked = mask(data, answer, max_length=30)
    assert "data.train: 1 of 2 rows carry no loss when rows are cut to max_length=30 (keep_start)" in caplog.text
    assert len(masked) == 2, "TRL drops them, after it has truncated"
    caplog.clear()
    mask(data, answer, max_length=30, truncation="keep_end")
    assert not caplog.text
    with pytest.raises(DataError, match="no row keeps a token that carries loss") as caught:
        mask(data, answer, max_length=5)
    assert "training.max_length" in str(caught.value)


def test_a_first_token_alone_carries_no_loss():
    first = TemplateAnswer(tokenize=lambda messages, tools=None: Tokens([1, 2], [1, 0]))
    with pytest.raises(DataError, match="no row keeps a token that carries loss beyond the first token"):
        mask(rows("Yes"), first)


def test_a_stream_is_masked_as_it_is_read(tokenizer, answer):
    bad = {"messages": [{"role": "user", "content": "Say it"}]}
    read = []

    def source():
        for index, row in enumerate([*rows("Yes", "No"), bad]):
            read.append(index)
            yield row

    stream = mask_dataset(IterableDataset.from_generator(source), answer, key="data.train")
    read.clear()
    iterator = iter(stream)
    assert learnt(tokenizer, next(iterator)) == "Yes<|im_end|>"
    assert read == [0]
    assert set(next(iterator)) == {"input_ids", "labels"}
    with pytest.raises(DataError, match=r"data.train: row 3: the conversation ends"):
        next(iterator)


def test_two_processes_give_the_same_rows(answer):
    data = rows(*[f"Answer {n}" for n in range(8)])
    assert mask(data, answer, num_proc=2).to_list() == mask(data, answer).to_list()


def test_without_a_tokenizer_of_conversations_trl_does_it():
    data = Dataset.from_list(rows("Yes"))
    assert mask_dataset(data, TemplateAnswer(), key="data.train") is data


def test_images_are_left_to_trl_where_the_template_has_markers(tokenizer):
    tokenizer.chat_template = "{% generation %}{{ messages[-1].content }}{% endgeneration %}"
    data = Dataset.from_list([rows("Yes")[0] | {"images": ["a"]}])
    answer = TemplateAnswer(tokenize=MaskingTokenizer(tokenizer))
    assert mask_dataset(data, answer, key="data.train") is data
