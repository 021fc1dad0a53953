"""Rows with images, truncation and packing, as TRL prepares them: what carries loss stays what the assistant says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from trainwright.cli import main
from trainwright.hooks import TemplateRequest
from trainwright.testing import save_tiny, tiny_image, tiny_processor
from trainwright_templates.derived import Settings, chat_template

STOPS = {"qwen2.5-vl": "<|im_end|>", "gemma3-vlm": "<end_of_turn>"}
IMAGE = {"qwen2.5-vl": "<|image_pad|>", "gemma3-vlm": "<image_soft_token>"}


def looks(*answers):
    """Messages, each answer to a question about an image."""
    part = {"type": "image", "image": tiny_image()}
    return [
        each
        for text in answers
        for each in (
            {"role": "user", "content": [part, {"type": "text", "text": "What is it?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": text}]},
        )
    ]


@pytest.mark.parametrize("family", STOPS)
def test_a_processor_masks_the_same_answers_with_its_images_expanded(family):
    pytest.importorskip("PIL")
    processor, stop = tiny_processor(family), STOPS[family]
    settings = Settings(cache=False)
    request = TemplateRequest("sft", processor, settings, Path(), assistant_only=True, stops=[stop])
    answer = chat_template(request)
    assert answer.tokenize.marked
    assert any("masked by the training template's markers" in reason for reason in answer.report.reasons)
    messages = looks("A mill.", "Its wheel.")
    made = processor.apply_chat_template(
        messages,
        chat_template=answer.chat_template,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
        processor_kwargs={"return_tensors": "pt"},
    )
    ids, mask = made["input_ids"][0].tolist(), made["assistant_masks"][0]
    learnt = [token for token, flag in zip(ids, mask, strict=True) if flag]
    said = "".join(f"{text}{stop}" for text in ("A mill.", "Its wheel."))
    assert processor.tokenizer.decode(learnt).replace("\n", "") == said
    expanded = ids.count(processor.tokenizer.convert_tokens_to_ids(IMAGE[family]))
    assert expanded > 2  # each of the two stands for several tokens
    # The engine masks the same text, each image one token.
    bare = [{**each, "content": [part if part["type"] == "text" else {"type": "image"} for part in each["content"]]} for
            each in messages]  # fmt: skip
    derived = answer.tokenize.derive(bare)
    assert "".join(derived.text[span.start : span.end] for span in derived.spans) == said


def test_check_and_masks_take_conversations_with_images_and_any_role():
    pytest.importorskip("PIL")
    processor = tiny_processor("qwen2.5-vl")
    request = TemplateRequest(
        "sft", processor, Settings(generate=False), Path(), assistant_only=True, stops=["<|im_end|>"]
    )
    answer = chat_template(request)
    for name in ("image", "two_images", "developer", "text_parts", "single"):
        row = answer.report.probes()[name]
        tokens = answer.tokenize(row["messages"])
        pairs = zip(tokens.input_ids, tokens.supervised, strict=True)
        said = processor.tokenizer.decode([token for token, flag in pairs if flag])
        assert said.startswith("A m"), name


def previewed(folder, capsys, rows, model, **training):
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {
        "method": "sft", "model": str(model), "data": {"train": "rows.jsonl"}, "template": "derived",
        "training": {"max_steps": 1, "assistant_only_loss": True, "max_length": None} | training,
        "output": str(folder / "run"),
    }  # fmt: skip
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    capsys.readouterr()
    assert main(["preview", str(folder / "run.yaml"), "--rows", "9", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["rows"]


def learnt(row):
    marked = "".join(text if flag else "\0" for text, flag in zip(row["tokens"], row["supervised"], strict=True))
    return [each for each in marked.split("\0") if each]


def test_rows_with_images_are_trained_with_the_training_template(tmp_path, capsys):
    pytest.importorskip("PIL")
    save_tiny("gemma3-vlm", tmp_path / "tiny")
    tiny_image().save(tmp_path / "mill.png")
    row = {
        "images": ["mill.png"],
        "messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A mill."}],
    }
    (shown, *_) = previewed(tmp_path, capsys, [row, row], tmp_path / "tiny")
    assert [each.strip() for each in learnt(shown)] == ["A mill.<end_of_turn>"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny("qwen2.5", tmp_path_factory.mktemp("models") / "tiny")


def talk(*answers):
    return {
        "messages": [
            each
            for number, text in enumerate(answers)
            for each in ({"role": "user", "content": f"Q{number}"}, {"role": "assistant", "content": text})
        ]
    }


@pytest.mark.parametrize(("end", "left"), [("keep_start", "First"), ("keep_end", "Second")])
def test_truncation_leaves_the_loss_on_what_is_left_of_the_answers(end, left, model, tmp_path, capsys):
    (whole,) = previewed(tmp_path, capsys, [talk("First answer.", "Second answer.")], model)
    assert learnt(whole) == ["First answer.<|im_end|>", "Second answer.<|im_end|>"]
    cut = whole["supervised"].index(1) + 3 if end == "keep_start" else whole["supervised"][::-1].index(1) + 4
    (row,) = previewed(
        tmp_path, capsys, [talk("First answer.", "Second answer.")], model, max_length=cut, truncation_mode=end
    )
    place = slice(cut) if end == "keep_start" else slice(-cut, None)
    assert row["tokens"] == whole["tokens"][place]
    first = 0 if end == "keep_end" else whole["supervised"][0]  # nothing predicts the first token
    assert row["supervised"] == [first, *whole["supervised"][place][1:]]
    (text,) = learnt(row)
    assert (f"{left} answer.<|im_end|>").startswith(text) or f"{left} answer.<|im_end|>".endswith(text)


def test_packed_conversations_keep_their_masks(model, tmp_path, capsys):
    rows = [talk("One."), talk("Two.", "Three."), talk("Four.")]
    apart = previewed(tmp_path, capsys, rows, model)
    (packed,) = previewed(tmp_path, capsys, rows, model, packing=True, max_length=512)
    assert sorted(learnt(packed)) == sorted(text for row in apart for text in learnt(row))
    assert len(packed["tokens"]) == sum(len(row["tokens"]) for row in apart)
