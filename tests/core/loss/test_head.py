"""Head functions against full logits, on every family; the model's own forward stays what it was."""

import copy
import inspect

import pytest
import torch

from trainwright.errors import ModelError
from trainwright.loss.handle import ModelHandle
from trainwright.loss.head import Head, install_head, logit_transform
from trainwright.loss.supervision import Supervision, supervise_labels
from trainwright.testing import FAMILIES, tiny_dataset, tiny_model, tiny_processing_class

TEXT = [name for name, row in FAMILIES.items() if "vision" not in row.traits]
VISION = [name for name, row in FAMILIES.items() if "vision" in row.traits]


def ragged_batch(vocabulary, *, seed=0, ignored=0.4):
    """Three rows of different lengths, some labels ignored."""
    generator = torch.Generator().manual_seed(seed)
    lengths = (11, 7, 4)
    ids = torch.randint(3, vocabulary, (3, 11), generator=generator)
    mask = torch.tensor([[1] * n + [0] * (11 - n) for n in lengths])
    labels = ids.masked_fill((mask == 0) | (torch.rand(3, 11, generator=generator) < ignored), -100)
    return {"input_ids": ids, "attention_mask": mask}, labels


def full_logps(logits, supervision):
    logps = logits.log_softmax(-1).flatten(0, 1)[supervision.index]
    return logps.gather(1, supervision.targets.unsqueeze(1)).squeeze(1)


@pytest.mark.parametrize("family", TEXT)
def test_log_probs_and_gradients_equal_full_logits(family):
    model = tiny_model(family, dtype=torch.float64)
    plain = copy.deepcopy(model)
    inputs, labels = ragged_batch(model.config.vocab_size)
    supervision = supervise_labels(labels, inputs)
    install_head(model)
    got = ModelHandle(model, inputs, supervision).token_logps().logps
    expected = full_logps(plain(**inputs, use_cache=False).logits.double(), supervision)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)  # soft caps and norms compute in float32
    got.sum().backward()
    expected.sum().backward()
    for (name, mine), other in zip(model.named_parameters(), plain.parameters(), strict=True):
        if other.grad is not None:
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("family", VISION)
def test_vision_models(family):
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    processor = tiny_processing_class(family)
    batch = DataCollatorForVisionLanguageModeling(processor)(tiny_dataset("vision", 2))
    model = tiny_model(family)
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    supervision = supervise_labels(batch["labels"], batch)
    with torch.no_grad():
        expected = full_logps(model(**inputs, use_cache=False).logits.float(), supervision)
    install_head(model)
    got = ModelHandle(model, inputs, supervision).token_logps().logps
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    got.sum().backward()
    assert model.get_input_embeddings().weight.grad.abs().sum() > 0


def test_logits_are_never_built():
    """The largest tensor that a forward with a head function makes is smaller than rows x columns x vocabulary."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            for leaf in result if isinstance(result, tuple | list) else [result]:
                if isinstance(leaf, torch.Tensor):
                    self.elements = max(self.elements, leaf.numel())
            return result

    model = tiny_model("llama", vocab_size=4096)
    inputs, labels = ragged_batch(4096, ignored=0.9)
    install_head(model)
    with Largest() as watch:
        ModelHandle(model, inputs, supervise_labels(labels, inputs)).token_logps()
    assert watch.elements < 33 * 4096


def test_without_a_head_function_nothing_changes():
    model = tiny_model("gemma2")
    inputs, _ = ragged_batch(model.config.vocab_size)
    before, signature = model(**inputs).logits, inspect.signature(model.forward)
    install_head(model)
    install_head(model)
    assert torch.equal(model(**inputs).logits, before)
    assert inspect.signature(model.forward) == signature
    ids = inputs["input_ids"][:1, :4]
    assert model.generate(ids, max_new_tokens=3, do_sample=False).shape[1] > 4


def test_a_copy_of_the_model_runs_its_own_weights():
    model = tiny_model("llama")
    install_head(model)
    other = copy.deepcopy(model)
    inputs, labels = ragged_batch(model.config.vocab_size)
    supervision = supervise_labels(labels, inputs)
    before = ModelHandle(other, inputs, supervision).token_logps().logps.detach()
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    assert torch.equal(ModelHandle(other, inputs, supervision).token_logps().logps, before)


def test_an_unknown_transform_of_the_logits_is_refused():
    model = tiny_model("granite")
    install_head(model)
    model.config.logits_scaling = 1.0  # what the head function is told
    model._forward_before_head = _scaled(model._forward_before_head, 1.5)
    inputs, labels = ragged_batch(model.config.vocab_size)
    with pytest.raises(ModelError, match="transforms its logits"):
        ModelHandle(model, inputs, supervise_labels(labels, inputs)).token_logps()


def _scaled(forward, factor):
    def scaled(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits = output.logits * factor
        return output

    return scaled


def test_a_model_without_a_head_is_refused():
    with pytest.raises(ModelError, match="no LM head"):
        install_head(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("family", "expected"), [("llama", (1.0, None)), ("cohere", (0.25, None)), ("granite", (0.25, None))]
)
def test_transform_is_read_from_the_config(family, expected):
    assert logit_transform(tiny_model(family).config) == expected


def test_statistics_come_from_the_same_pass():
    model = tiny_model("llama", dtype=torch.float64)
    inputs, labels = ragged_batch(model.config.vocab_size)
    supervision = supervise_labels(labels, inputs)
    logps = model(**inputs).logits.log_softmax(-1).flatten(0, 1)[supervision.index].detach()
    install_head(model)
    tokens = ModelHandle(model, inputs, supervision).token_logps(statistics=("entropy", "top1"))
    torch.testing.assert_close(tokens.statistics["entropy"], -(logps.exp() * logps).sum(-1), rtol=1e-6, atol=1e-6)
    assert torch.equal(tokens.statistics["top1"], logps.argmax(-1) == supervision.targets)
    assert not tokens.statistics["entropy"].requires_grad


def test_any_function_may_stand_in_for_the_head():
    model = tiny_model("mixtral")
    inputs, labels = ragged_batch(model.config.vocab_size)
    supervision = supervise_labels(labels, inputs)
    install_head(model)
    seen = []

    def norms(head: Head):
        seen.append((head.hidden.shape, head.weight.shape, head.targets.shape))
        return {"norm": head.hidden.norm(dim=-1), "count": torch.ones(1, dtype=torch.int64)}

    handle = ModelHandle(model, {**inputs, "output_router_logits": True}, supervision)
    results = handle.apply(norms)
    count = supervision.index.numel()
    assert seen == [((count, model.config.hidden_size), tuple(model.lm_head.weight.shape), (count,))]
    assert results["norm"].shape == (count,)
    assert handle.aux_loss.requires_grad


def test_supervision_survives_columns_added_on_the_left():
    index = Supervision(
        index=torch.tensor([0, 4, 7]), targets=torch.zeros(3), sequence=torch.tensor([0, 1, 1]),
        lengths=torch.tensor([1, 2]), columns=4,
    ).shifted_index(6)  # fmt: skip
    assert index.tolist() == [2, 8, 11]
