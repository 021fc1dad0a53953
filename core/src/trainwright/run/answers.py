"""Held-out questions, answered by greedy generation and compared with the right answers.

Training does not notice: a run that answers questions continues bit for bit as one that does not.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainwright.run.questions import Question, questions
from trainwright.template.places import Places, file_places
from trainwright.template.render import text_tokenizer
from trainwright.template.stops import stop_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from trainwright.config.models import AnswersSection, RunConfig

PLAIN_GREEDY = {
    "do_sample": False,
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "use_cache": True,
}
"""What a model's own generation config may say otherwise."""


@dataclass(frozen=True)
class AnswerRecord:
    """One question with its answers, white space at the ends removed."""

    question: str
    expected: str
    given: str

    @property
    def correct(self) -> bool:
        """Whether the answer given is the right one, to the letter."""
        return self.given == self.expected


@dataclass(frozen=True)
class Answers:
    """What a model answered."""

    records: tuple[AnswerRecord, ...]

    @property
    def correct(self) -> int:
        """How many answers are right."""
        return sum(record.correct for record in self.records)

    @property
    def accuracy(self) -> float:
        """The share of right answers, 0 to 1."""
        return self.correct / len(self.records)


def answer(model: Any, processing_class: Any, section: AnswersSection, config: RunConfig) -> Answers:
    """Answer the questions that the config names.

    Args:
        model: A transformers or PEFT model, not wrapped for several processes.
        processing_class: Its tokenizer or processor.
        section: The `answers:` section.
        config: The run's config; relative paths are relative to its folder.

    Raises:
        DataError: Questions that cannot be read, or have no right answer.
    """
    from trainwright.data.load import first_rows, load_split

    rows = load_split(section.data, config, "answers.data")
    if section.limit is not None:
        rows = first_rows(rows, section.limit)
    return answer_rows(
        model,
        processing_class,
        rows,
        max_new_tokens=section.max_new_tokens,
        batch_size=section.batch_size,
        places=file_places(section.data, config, "answers.data"),
    )


def answer_rows(
    model: Any,
    processing_class: Any,
    rows: Iterable[Mapping[str, Any]],
    *,
    max_new_tokens: int = 64,
    batch_size: int = 16,
    places: Places | None = None,
) -> Answers:
    """Answer questions, several at once, padded on the left.

    Args:
        model: A transformers or PEFT model, not wrapped for several processes; it is left as it was, modes included.
        processing_class: Its tokenizer or processor.
        rows: Conversations whose last turn is the right answer, or plain `prompt` and `completion`.
        max_new_tokens: Tokens generated at most for an answer.
        batch_size: Questions answered at once.
        places: Finds the `file:line` of rows, for errors; default: their numbers.

    Raises:
        DataError: Rows without a right answer, or no rows.
    """
    asked = questions(rows, processing_class, places)
    tokenizer = text_tokenizer(processing_class)
    records = []
    size = 1 if _learns_a_prompt(model) else batch_size
    with undisturbed(model):
        for start in range(0, len(asked), size):
            batch = asked[start : start + size]
            given = _generate(model, processing_class, batch, max_new_tokens)
            texts = [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in given]
            records += [
                AnswerRecord(question.text, question.expected, text)
                for question, text in zip(batch, texts, strict=True)
            ]
    return Answers(tuple(records))


def _learns_a_prompt(model: Any) -> bool:
    """Whether PEFT puts virtual tokens first: left of the padding, which would then shift the prompt's positions."""
    return any(adapter.is_prompt_learning for adapter in getattr(model, "peft_config", {}).values())


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """The model in evaluation mode; afterwards each module's mode and all random number generators are as before."""
    import numpy as np
    import torch

    modes = [(module, module.training) for module in model.modules()]
    python, numpy = random.getstate(), np.random.get_state()
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            model.eval()
            yield
    finally:
        for module, training in modes:
            module.training = training
        random.setstate(python)
        np.random.set_state(numpy)


def _generate(model: Any, processing_class: Any, batch: Sequence[Question], max_new_tokens: int) -> list[list[int]]:
    """The tokens answered to each question, up to its first stop token, which is left out."""
    from transformers import GenerationConfig

    stops = stop_ids(model, processing_class)
    pad = text_tokenizer(processing_class).pad_token_id
    pad = next(iter(stops), 0) if pad is None else pad
    input_ids, attention_mask = _left_padded([question.input_ids for question in batch], pad, model.device)
    generated = model.generate(
        input_ids=input_ids,
        attention_mask=attention_mask,
        generation_config=GenerationConfig(
            **PLAIN_GREEDY, max_new_tokens=max_new_tokens, eos_token_id=stops or None, pad_token_id=pad
        ),
    )
    answers = generated[:, input_ids.shape[1] :].tolist()
    return [_until(answer, stops) for answer in answers]


def stop_ids(model: Any, processing_class: Any) -> list[int]:
    """Ids of all tokens that end an answer: of the generation config, the tokenizer, and the chat template."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    configured = configured if isinstance(configured, list) else [configured]
    tokenizer = text_tokenizer(processing_class)
    written = tokenizer.convert_tokens_to_ids(stop_tokens(processing_class))
    return [int(token) for token in dict.fromkeys([*configured, *written]) if token is not None]


def _until(ids: Sequence[int], stops: Sequence[int]) -> list[int]:
    end = next((index for index, token in enumerate(ids) if token in stops), len(ids))
    return list(ids[:end])


def _left_padded(prompts: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[Tensor, Tensor]:
    """Prompts of unequal length as ids and attention mask, both `(B, S)`, padded on the left."""
    import torch

    width = max(map(len, prompts))
    ids = [[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
