"""Rows with one prompt and one set of images have one number, however the images are held."""

import pytest
from datasets import Dataset, Image, List

from trainwright.data.image_prompts import identities, identities_of
from trainwright.data.mismatched import WRITTEN, with_mismatched
from trainwright.testing import tiny_image

pytest.importorskip("PIL")


def rows():
    """Three prompts, the third of which differs from the first by its image only."""
    small, large = tiny_image(0), tiny_image(1, width=84)
    asked = [("what?", [small]), ("what?", [small]), ("why?", [small]), ("what?", [large]), ("what?", [small, large])]
    return [
        {"prompt": [{"role": "user", "content": text}], "images": images, "completion": f"answer {number}"}
        for number, (text, images) in enumerate(asked)
    ]


def same(numbers):
    return [numbers.tolist().index(number) for number in numbers.tolist()]


def test_of_a_data_set_without_decoding(monkeypatch):
    data = Dataset.from_list(rows())
    monkeypatch.setattr(Image, "decode_example", None)
    assert same(identities(data)) == [0, 0, 2, 3, 4]
    assert same(identities(data.select([3, 0, 1]))) == [0, 1, 1]
    assert (identities(data.cast_column("images", List(Image(decode=False)))) == identities(data)).all()


def test_of_single_images_and_plain_prompts():
    data = [{"prompt": "what?", "image": row["images"][0]} for row in rows()]
    assert same(identities(Dataset.from_list(data))) == [0, 0, 0, 3, 0]


def test_of_a_stream(tmp_path):
    data = Dataset.from_list(rows())
    batch = {name: [row[name] for row in data] for name in data.column_names}
    assert same(identities_of(batch)) == [0, 0, 2, 3, 4]
    mismatched = list(with_mismatched(data.to_iterable_dataset(), 2, images=True))
    assert [row[WRITTEN] for row in mismatched] == ["", "", "answer 3", "answer 2", "answer 3"]
    assert [len(row["images"]) for row in mismatched] == [1, 1, 1, 1, 2]
