"""Images named by paths in a text file."""

import json

import pytest

from trainwright.config.load import load_dict
from trainwright.data.load import load_split
from trainwright.errors import DataError
from trainwright.testing import tiny_image


def load(folder, rows):
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = load_dict({"model": "m/m", "data": {"train": "data.jsonl"}, "output": "o"}, folder=folder)
    return load_split(config.data.train, config)


def test_paths_become_images(tmp_path):
    tiny_image(1).save(tmp_path / "a.png")
    tiny_image(2).save(tmp_path / "b.png")
    rows = [{"text": "x", "images": ["a.png", "b.png"]}, {"text": "y", "images": [str(tmp_path / "b.png")]}]
    data = load(tmp_path, rows)
    assert [len(row["images"]) for row in data] == [2, 1]
    assert data[0]["images"][0].convert("RGB").tobytes() == tiny_image(1).convert("RGB").tobytes()
    assert load(tmp_path, [{"text": "x", "image": "a.png"}])[0]["image"].size == tiny_image(1).size


def test_missing_images_are_named_all_at_once(tmp_path):
    with pytest.raises(DataError) as caught:
        load(tmp_path, [{"text": "x", "images": ["no.png"]}, {"text": "y", "images": ["nor-this.png"]}])
    assert [problem.message.split(": ")[0] for problem in caught.value.problems] == ["row 1", "row 2"]
    assert "no.png" in caught.value.problems[0].message
