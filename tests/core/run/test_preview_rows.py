"""Prepared rows as text: what TRL's own trainer and collator made, with what carries loss."""

from __future__ import annotations

import pytest
from datasets import Dataset

from trainwright.run.folder import RunFolder
from trainwright.run.pieces import pieces
from trainwright.run.preview import _stand_in, prepared_rows
from trainwright.testing import tiny_tokenizer
from trainwright.trainer.methods import METHODS


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer("qwen2.5")


@pytest.fixture
def rows(tokenizer, tmp_path):
    """Preview rows of data, by a method with TRL's settings."""
    from trainwright.trainer.bind import make_trainer, training_arguments
    from trainwright.trainer.hooked import Binding

    def rows(name, data, **training):
        method, run = METHODS[name], RunFolder(tmp_path)
        models = {"reference": "ref_model", "teacher": "teacher_model"}
        trainer = make_trainer(
            Binding(method=method, compute_loss=lambda ctx: None, native=True),
            run,
            model=_stand_in(tokenizer),
            args=training_arguments(method, {"max_length": 256, **training}, tmp_path),
            train_dataset=Dataset.from_list(data),
            processing_class=tokenizer,
            **{models[other]: _stand_in(tokenizer) for other in method.takes},
        )
        return list(prepared_rows(trainer, method, tokenizer, 5))

    return rows


def shown(row):
    marked = "".join(f"⟦{text}⟧" if flag else text for text, flag in zip(row.tokens, row.supervised, strict=True))
    return marked.replace("⟧⟦", "")


PROMPT, END = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"
HI = [{"role": "user", "content": "Hi"}]


def say(text):
    return [{"role": "assistant", "content": text}]


def test_sft_shows_the_labels(rows, tokenizer):
    ids = tokenizer("one two three")["input_ids"]
    labels = [-100] * (len(ids) - 2) + ids[-2:]
    (row,) = rows("sft", [{"input_ids": ids, "labels": labels}])
    assert "".join(row.tokens) == "one two three"
    assert row.supervised == [0] * (len(ids) - 2) + [1, 1]
    assert row.source == "row 1"


def test_the_first_token_is_never_supervised(rows):
    (row,) = rows("sft", [{"text": "abc def"}])
    assert row.supervised == [0] + [1] * (len(row.tokens) - 1)
    assert row.tokens[-1] == END, "TRL's end of sequence"


def test_truncation_is_shown(rows):
    (row,) = rows("sft", [{"text": "abc def ghi jkl mno pqr stu"}], max_length=4)
    assert len(row.tokens) == 4


def test_packed_rows_say_so(rows):
    (row,) = rows("sft", [{"text": "abc"}, {"text": "def"}], packing=True, max_length=64)
    assert row.note == "2 sequences packed"
    assert "".join(row.tokens) == f"abc{END}def{END}"
    first = row.tokens.index(END)
    assert (row.supervised[0], row.supervised[first + 1]) == (0, 0), "nothing predicts the start of a sequence"
    assert sum(row.supervised) == len(row.tokens) - 2


@pytest.mark.parametrize("packing", [False, True])
def test_masked_conversations_reach_the_batch_as_they_were_masked(rows, tokenizer, packing):
    from trainwright.hooks import TemplateAnswer
    from trainwright.template.dataset import mask_dataset
    from trainwright.template.mask import MaskingTokenizer

    data = Dataset.from_list([{"messages": HI + say("Yes")}, {"messages": HI + say("No")}])
    masked = mask_dataset(data, TemplateAnswer(tokenize=MaskingTokenizer(tokenizer)), key="data.train")
    text = "".join(shown(row) for row in rows("sft", masked.to_list(), packing=packing))
    assert text.count("⟦") == 2
    assert text.endswith(PROMPT + f"⟦No{END}⟧\n")
    assert PROMPT + f"⟦Yes{END}⟧\n" in text


def test_dpo_shows_chosen_and_rejected(rows):
    chosen, rejected = rows("dpo", [{"prompt": HI, "chosen": say("Yes"), "rejected": say("No, never")}])
    assert (chosen.source, rejected.source) == ("row 1 (chosen)", "row 1 (rejected)")
    assert shown(chosen).endswith(PROMPT + f"⟦Yes{END}\n⟧")
    assert shown(rejected).endswith(PROMPT + f"⟦No, never{END}\n⟧")


def test_kto_shows_the_thumb(rows):
    good, bad = rows(
        "kto",
        [
            {"prompt": HI, "completion": say("Yes"), "label": True},
            {"prompt": HI, "completion": say("No"), "label": False},
        ],
        per_device_train_batch_size=2,
    )
    assert (good.note, bad.note) == ("desirable", "undesirable")
    assert shown(good).endswith(PROMPT + f"⟦Yes{END}\n⟧")


def test_pieces_are_the_text_and_characters_stay_whole(tokenizer):
    text = "naïve 🦜 語\nend"
    ids = tokenizer(text)["input_ids"]
    texts = pieces(tokenizer, ids)
    assert len(texts) == len(ids)
    assert "".join(texts) == text
    assert any("🦜" in piece for piece in texts)


def test_pieces_of_bytes_that_are_no_character_end(tokenizer):
    parrot = tokenizer("🦜")["input_ids"]
    assert len(parrot) == 4
    texts = pieces(tokenizer, parrot[1:] * 3)
    assert len(texts) == 9


def test_pieces_keep_the_leading_spaces_of_sentencepiece():
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({"▁one": 0, "▁two": 1, "s": 2}, unk_token="s"))
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    assert pieces(PreTrainedTokenizerFast(tokenizer_object=backend), [0, 1, 2, 1]) == ["one", " two", "s", " two"]
