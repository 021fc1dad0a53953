"""Questions are answered greedily, right answers counted, and training goes on as if nothing had happened."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch

from trainwright.errors import DataError
from trainwright.run.answers import AnswerRecord, Answers, answer_rows, stop_ids, undisturbed
from trainwright.testing import tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer("llama")


@pytest.fixture
def model():
    torch.manual_seed(3)
    model = tiny_model("llama")
    # Nothing that a tiny random model says is a stop token by accident: each test sets its own.
    model.generation_config.eos_token_id = None
    return model


def chat(*texts, expected="?"):
    return [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": expected}]} for text in texts
    ]


def greedy(model, tokenizer, text, length):
    """The plain reference: one question, no padding, the most likely token again and again."""
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True)
    ids = torch.tensor([prompt["input_ids"]])
    with torch.no_grad():
        for _ in range(length):
            ids = torch.cat([ids, model.eval()(ids).logits[:, -1:].argmax(-1)], 1)
    return ids[0, len(prompt["input_ids"]) :].tolist()


def test_answers_are_greedy_whatever_the_batch(model, tokenizer):
    texts = ["One?", "Two, and a much longer question at that?", "Three is enough?"]
    model.generation_config.do_sample = True
    model.generation_config.repetition_penalty = 5.0
    expected = [tokenizer.decode(greedy(model, tokenizer, text, 6), skip_special_tokens=True).strip() for text in texts]
    for batch_size in (1, 3):
        answers = answer_rows(model, tokenizer, chat(*texts), max_new_tokens=6, batch_size=batch_size)
        assert [record.given for record in answers.records] == expected
        assert [record.question for record in answers.records] == texts


def test_right_answers_are_counted_without_white_space_at_the_ends(model, tokenizer):
    said = tokenizer.decode(greedy(model, tokenizer, "One?", 4), skip_special_tokens=True).strip()
    rows = chat("One?", expected=f"\n {said} ") + chat("One?", expected="not this")
    answers = answer_rows(model, tokenizer, rows, max_new_tokens=4)
    assert [record.correct for record in answers.records] == [True, False]
    assert (answers.correct, answers.accuracy) == (1, 0.5)


def test_an_answer_ends_at_a_stop_token(model, tokenizer):
    said = greedy(model, tokenizer, "One?", 5)
    stop = next(token for token in said[1:] if token != said[0])
    model.generation_config.eos_token_id = [stop]
    (record,) = answer_rows(model, tokenizer, chat("One?"), max_new_tokens=5).records
    assert record.given == tokenizer.decode(said[: said.index(stop)], skip_special_tokens=True).strip()


def test_stop_tokens_are_those_of_the_model_the_tokenizer_and_the_template(model):
    gemma = tiny_tokenizer("gemma2")
    model.generation_config.eos_token_id = 7
    assert stop_ids(model, gemma) == [7, *gemma.convert_tokens_to_ids(["<eos>", "<end_of_turn>"])]


def test_plain_prompts_need_no_chat_template(model, tokenizer):
    plain = copy.copy(tokenizer)
    plain.chat_template = None
    rows = [{"prompt": "Two and two is", "completion": " four"}]
    (record,) = answer_rows(model, plain, rows, max_new_tokens=3).records
    assert (record.question, record.expected) == ("Two and two is", "four")


def test_conversations_ask_with_all_that_was_said_before(model, tokenizer):
    before = chat("One?")[0]["messages"]
    rows = [
        {"messages": [*before, {"role": "user", "content": "Two?"}, {"role": "assistant", "content": "x"}]},
        {
            "prompt": [*before, {"role": "user", "content": "Two?"}],
            "completion": [{"role": "assistant", "content": "x"}],
        },
    ]
    one, other = answer_rows(model, tokenizer, rows, max_new_tokens=4).records
    assert one == other
    assert one.question == "Two?"


def test_rows_without_a_right_answer_are_all_reported(model, tokenizer):
    rows = [{"messages": [{"role": "user", "content": "a"}]}, *chat("b"), {"text": "c"}]
    with pytest.raises(DataError) as caught:
        answer_rows(model, tokenizer, rows)
    assert [problem.where for problem in caught.value.problems] == ["answers.data: row 1", "answers.data: row 3"]
    with pytest.raises(DataError, match="no questions"):
        answer_rows(model, tokenizer, [])


def test_an_accuracy_is_a_share():
    right, wrong = AnswerRecord("q", "a", "a"), AnswerRecord("q", "a", "A")
    assert Answers((right, wrong, wrong, wrong)).accuracy == 0.25


def with_lora(model):
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=2, lora_dropout=0.5, target_modules="all-linear", task_type="CAUSAL_LM"))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_goes_on_bit_for_bit(tokenizer, checkpointing):
    def trained(asked):
        torch.manual_seed(0)
        random.seed(0)
        model = with_lora(tiny_model("llama"))
        if checkpointing:
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.config.use_cache = False
        model.train()
        model.base_model.model.model.embed_tokens.eval()  # modes are restored module by module
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        batch = torch.arange(4, 20).view(2, 8)
        for _ in range(3):
            model(input_ids=batch, labels=batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if asked:
                answer_rows(model, tokenizer, chat("One?", "Two two?"), max_new_tokens=3)
        modes = [module.training for module in model.modules()]
        return model.state_dict(), modes, (model.config.use_cache, model.is_gradient_checkpointing), random.random()

    without, with_answers = trained(False), trained(True)
    assert all(torch.equal(value, with_answers[0][name]) for name, value in without[0].items())
    assert with_answers[1:] == without[1:]
    assert not all(without[1])


def test_prompt_tuning_answers_alike_whatever_the_batch(model, tokenizer):
    from peft import PromptTuningConfig, get_peft_model

    model = get_peft_model(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4))
    questions = chat("One?", "Two, and a much longer question at that?")
    batched = answer_rows(model, tokenizer, questions, max_new_tokens=5, batch_size=2)
    assert batched == answer_rows(model, tokenizer, questions, max_new_tokens=5, batch_size=1)


def test_random_numbers_drawn_while_answering_are_not_missed(model):
    def draw():
        return torch.rand(1).item(), random.random(), np.random.rand()

    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    expected = draw()
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    with undisturbed(model):
        draw()
    assert draw() == expected


def test_dropout_is_off_while_answering(tokenizer):
    torch.manual_seed(0)
    model = with_lora(tiny_model("llama")).train()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=1.0)
    first = answer_rows(model, tokenizer, chat("One?"), max_new_tokens=8)
    torch.manual_seed(1)
    assert answer_rows(model, tokenizer, chat("One?"), max_new_tokens=8) == first
