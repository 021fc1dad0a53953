"""The table of families is light to import, complete, and says who is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trainwright.testing import FAMILIES, family_names

ASKED_FOR = {
    "llama",
    "qwen2.5",
    "qwen3",
    "qwen3-2507",
    "qwen3-moe",
    "gemma2",
    "gemma3",
    "gemma3-vlm",
    "cohere",
    "cohere2",
    "granite",
    "mixtral",
    "deepseek-v2",
    "qwen2.5-vl",
}


def test_every_family_that_is_promised_is_there():
    assert set(FAMILIES) >= ASKED_FOR


def test_names_are_chosen_by_all_of_the_traits():
    assert set(family_names()) == set(FAMILIES)
    assert family_names("moe", "aux_loss") == ("qwen3-moe", "mixtral")
    assert family_names("softcap", "moe") == ()


def test_an_unknown_family_is_refused_with_the_names_of_those_there_are():
    from trainwright.testing import tiny_tokenizer

    with pytest.raises(KeyError, match=r"no family 'lama'; there are llama, qwen2\.5"):
        tiny_tokenizer("lama")


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import trainwright.testing

    with pytest.raises(AttributeError, match="tiny_mode"):
        _ = trainwright.testing.tiny_mode
    assert "tiny_model" in dir(trainwright.testing)


def test_the_package_and_its_table_import_nothing_heavy():
    code = (
        "import sys, trainwright.testing as kit; kit.FAMILIES, kit.tiny_model, kit.tiny_dataset;"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'datasets', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
