"""Tiny processors: TRL's own vision collator makes a batch of them that the model takes, and the images matter."""

from __future__ import annotations

import pytest

from trainwright.testing import family_names, save_tiny, tiny_dataset, tiny_image, tiny_model, tiny_processor

torch = pytest.importorskip("torch")
pytest.importorskip("PIL")

EVERY = pytest.mark.parametrize("family", family_names("vision"))


def batch(processor, **arguments):
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    return DataCollatorForVisionLanguageModeling(processor, **arguments)(tiny_dataset("vision", 3))


@EVERY
def test_a_batch_of_trl_s_collator_reaches_every_parameter(family):
    model = tiny_model(family)
    model(**batch(tiny_processor(family))).loss.backward()
    norms = {name: None if weight.grad is None else weight.grad.norm() for name, weight in model.named_parameters()}
    assert all(norm is not None and norm > 0 for norm in norms.values()), norms


@EVERY
def test_other_images_give_other_logits(family):
    model, inputs = tiny_model(family), batch(tiny_processor(family))
    other = {**inputs, "pixel_values": inputs["pixel_values"].flip(0)}
    with torch.no_grad():
        assert (model(**inputs).logits - model(**other).logits).abs().max() > 0.1


@EVERY
def test_an_image_takes_few_tokens(family):
    processor = tiny_processor(family)
    messages = [{"role": "user", "content": [{"type": "image", "image": tiny_image()}, {"type": "text", "text": "?"}]}]
    encoded = processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")
    image = tiny_model(family).config.image_token_id
    assert (encoded["input_ids"] == image).sum() == {"gemma3-vlm": 4, "qwen2.5-vl": 2}[family]


@EVERY
def test_with_markers_only_the_answers_are_supervised(family):
    processor = tiny_processor(family, generation_markers=True)
    made = batch(processor, assistant_only_loss=True)
    for labels, row in zip(made["labels"], tiny_dataset("vision", 3), strict=True):
        said = processor.tokenizer.decode(labels[labels != -100])
        assert said.startswith(row["messages"][1]["content"])


@EVERY
def test_a_saved_processor_makes_the_same_batch(family, tmp_path):
    from transformers import AutoProcessor
    from transformers.utils import is_torchvision_available

    if family == "qwen2.5-vl" and not is_torchvision_available():
        pytest.skip("transformers loads Qwen's processor with torchvision only")
    loaded = AutoProcessor.from_pretrained(save_tiny(family, tmp_path))
    ours, theirs = batch(tiny_processor(family)), batch(loaded)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_an_image_is_decided_by_its_seed():
    assert tiny_image(3).tobytes() == tiny_image(3).tobytes() != tiny_image(4).tobytes()
    assert tiny_image(width=30, height=40).size == (30, 40)


def test_a_family_without_images_has_no_processor():
    with pytest.raises(ValueError, match="llama takes no images"):
        tiny_processor("llama")
