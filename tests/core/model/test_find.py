"""A model is found, or refused with what to do, before anything is loaded."""

from __future__ import annotations

import json
import struct

import pytest

from trainwright.config.models import ModelSection
from trainwright.errors import ModelError
from trainwright.model.find import FoundModel, find_adapter, find_model


@pytest.fixture
def folder(tmp_path):
    """A checkpoint as far as names, sizes and headers go."""
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    return folder


def find(make_config, section):
    config = make_config(section)
    return find_model(config.model, config)


def test_a_folder_is_found_absolute_and_relative(make_config, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = FoundModel(str(folder), "folder", None)
    assert find(make_config, folder) == expected
    assert find(make_config, "models/mine") == expected
    assert find(make_config, "./models/mine") == expected


def test_a_missing_folder_is_named_with_a_near_one(make_config, folder):
    with pytest.raises(ModelError, match=r"no such folder: .*minne\n.*`mine`"):
        find(make_config, folder.with_name("minne"))


def test_a_folder_without_a_config_is_refused(make_config, folder):
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        find(make_config, folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "config.json is not JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "holds no JSON object"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
        (lambda folder: cut(folder / "model.safetensors", 4), "where its header declares"),
        (lambda folder: cut(folder / "model.safetensors", 20), "cut off or no safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "cut off or no safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 64), "cut off or no safetensors"),
        (lambda folder: shard(folder, "model-00001-of-00002.safetensors"), "00002-of-00002.safetensors is missing"),
        (lambda folder: pickled(folder), "no PyTorch checkpoint"),
    ],
)
def test_an_incomplete_checkpoint_is_refused(make_config, folder, damage, message):
    damage(folder)
    with pytest.raises(ModelError, match=message):
        find(make_config, folder)


def cut(file, count):
    file.write_bytes(file.read_bytes()[:-count])


def shard(folder, kept):
    (folder / "model.safetensors").rename(folder / kept)
    shards = {"a": kept, "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))


def pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def test_whole_shards_are_accepted(make_config, folder):
    shard(folder, "model-00001-of-00002.safetensors")
    second = folder / "model-00002-of-00002.safetensors"
    second.write_bytes((folder / "model-00001-of-00002.safetensors").read_bytes())
    assert find(make_config, folder).kind == "folder"


def test_everything_that_is_wrong_is_said_at_once(make_config, folder):
    (folder / "config.json").write_text("{")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError) as caught:
        find(make_config, folder)
    assert len(caught.value.problems) == 2


def test_what_is_no_hub_id_is_refused(make_config):
    with pytest.raises(ModelError, match="neither a hub id nor a folder"):
        find(make_config, "my model!")


def test_a_hub_model_needs_the_cache_when_offline(make_config, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    section = ModelSection(path="somebody/some-model", revision="v1")
    with pytest.raises(ModelError, match=r"some-model` at revision `v1` is not in the hub cache(.|\n)*HF_HUB_OFFLINE"):
        find(make_config, section)

    repository = tmp_path / "hub" / "models--somebody--some-model"
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "snapshots" / "abc" / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text("abc")
    assert find(make_config, section) == FoundModel("somebody/some-model", "hub", "v1")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert find(make_config, "nobody/nothing") == FoundModel("nobody/nothing", "hub", None)


def test_an_adapter_is_a_folder_with_its_config(make_config, folder, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    section = ModelSection(path=str(folder), adapter=str(adapter))
    with pytest.raises(ModelError, match=r"holds no adapter_config\.json"):
        find(make_config, section)
    (adapter / "adapter_config.json").write_text("{}")
    config = make_config(section)
    find_model(config.model, config)
    assert find_adapter(config.model, config) == str(adapter)
    assert find_adapter(ModelSection(path=str(folder)), config) is None
