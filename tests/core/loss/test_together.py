"""Two batches as one: rows padded on the right, positions moved; refused where it does not pay or cannot be."""

import pytest
import torch

from trainwright.loss.supervision import supervise_labels
from trainwright.loss.together import stack_inputs, stack_supervision


def batch(rows, columns, start=1):
    ids = torch.arange(start, start + rows * columns).view(rows, columns)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def test_every_target_is_still_predicted_from_the_token_before_it():
    first, second = batch(2, 5), batch(3, 6, start=100)
    labels = [inputs["input_ids"].clone() for inputs in (first, second)]
    labels[0][:, :2], labels[1][1] = -100, -100
    own = [supervise_labels(label, inputs) for label, inputs in zip(labels, (first, second), strict=True)]
    inputs = stack_inputs(first, second)
    both = stack_supervision(*own, rows=2)
    assert inputs["input_ids"].shape == inputs["attention_mask"].shape == (5, 6)
    assert inputs["attention_mask"].sum() == 2 * 5 + 3 * 6
    flat = inputs["input_ids"].flatten()
    assert (flat[both.index + 1] == both.targets).all()
    assert both.targets.tolist() == own[0].targets.tolist() + own[1].targets.tolist()
    assert both.lengths.tolist() == own[0].lengths.tolist() + own[1].lengths.tolist() == [3, 3, 5, 0, 5]
    assert (both.index // 6 == both.sequence).all(), "each row is a sequence"
    assert both.columns == 6


@pytest.mark.parametrize(("widths", "together"), [((8, 8), True), ((8, 10), True), ((8, 20), False), ((30, 3), False)])
def test_padding_to_one_width_must_not_cost_a_quarter_more(widths, together):
    found = stack_inputs(batch(2, widths[0]), batch(2, widths[1]))
    assert (found is not None) == together


def test_rows_with_images_stay_apart():
    pixels = {"pixel_values": torch.zeros(2, 3, 28, 28)}
    assert stack_inputs(batch(2, 4) | pixels, batch(2, 4) | pixels) is None
    assert stack_inputs(batch(2, 4) | {"token_type_ids": torch.zeros(2, 4)}, batch(2, 4)) is None
