"""TRL's fields come from a cache that a child process fills once, and that no accident can leave half written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trainwright.config import fields
from trainwright.errors import TrainwrightError

PYTHON = sys.executable
READ = """
import logging, sys
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
from trainwright.config.fields import trl_fields
print(trl_fields("sft")["learning_rate"].default, "torch" in sys.modules)
"""


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text of a good cache; the cache of the test is an empty folder, and an `extractor` stands in for TRL's."""
    fields.trl_fields("sft")
    text = fields.cache_file().read_text()
    monkeypatch.setenv("TRAINWRIGHT_CACHE", str(tmp_path / "cache"))
    fields._parsed.cache_clear()
    (tmp_path / "good.json").write_text(text)
    extractor(tmp_path, monkeypatch, f"import shutil; shutil.copy({str(tmp_path / 'good.json')!r}, sys.argv[-1])")
    return text


def extractor(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> Path:
    """A child process that runs `code` and notes that it ran."""
    ran, script = folder / "ran", folder / "extractor"
    script.write_text(f"#!{PYTHON}\nimport sys\nopen({str(ran)!r}, 'a').write('x')\n{code}\n")
    script.chmod(0o755)
    monkeypatch.setattr(fields.sys, "executable", str(script))
    return ran


def test_two_cold_processes_import_trl_once_and_neither_imports_torch(tmp_path: Path) -> None:
    code = f"import os; os.environ['TRAINWRIGHT_CACHE'] = {str(tmp_path)!r}\n{READ}"
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [child.communicate(timeout=120) for child in children]
    assert [out.splitlines()[-1] for out, _ in outputs] == ["2e-05 False"] * 2, outputs
    assert sum(out.count("reading the options of TRL") for out, _ in outputs) == 1
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".lock"}


def test_a_warm_cache_is_read_without_a_child(sound: str, tmp_path: Path) -> None:
    fields.trl_fields("sft")
    fields._parsed.cache_clear()
    fields.trl_fields("dpo")
    assert (tmp_path / "ran").read_text() == "x"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 1, "methods": {}}', '{"format": 0}', "\x00", "half"])
def test_a_damaged_cache_is_built_again(sound: str, damage: str) -> None:
    file = fields.cache_file()
    file.parent.mkdir()
    file.write_text(sound[: len(sound) // 2] if damage == "half" else damage)
    assert fields.trl_fields("sft")["max_steps"].types == ("int",)
    assert file.read_text() == sound


def test_a_folder_that_cannot_be_written_costs_the_cache_only(
    sound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRAINWRIGHT_CACHE", str(tmp_path / "file" / "below"))
    assert "learning_rate" in fields.trl_fields("sft")
    assert "cannot be cached" in caplog.text


@pytest.mark.parametrize("code", ["sys.exit('ImportError: no libtorch')", "open(sys.argv[-1], 'w').write('{')"])
def test_an_extractor_that_fails_is_an_error_and_leaves_nothing(
    sound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    extractor(tmp_path, monkeypatch, code)
    with pytest.raises(TrainwrightError, match="TRL's config classes cannot be imported") as caught:
        fields.trl_fields("sft")
    assert "python -c 'import trl.trainer'" in str(caught.value)
    assert "libtorch" in str(caught.value) or "open" in code
    assert not list((tmp_path / "cache").glob("*.json"))


def test_the_cache_is_named_by_what_it_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "_version", {"trl": "9.8", "transformers": "7.6"}.__getitem__)
    name = fields.cache_file().name
    assert name == f"trl-fields-9.8-7.6-py{sys.version_info[0]}.{sys.version_info[1]}-f{fields.FORMAT}.json"


def test_without_trl_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainwrightError, match=r"no-such-thing is not installed\n.*pip install no-such-thing"):
        fields._version("no-such-thing")


def test_descriptions_are_json_that_says_types_choices_and_help(sound: str) -> None:
    sft = json.loads(sound)["methods"]["sft"]
    assert sft["packing_strategy"]["choices"] == ["bfd", "bfd_split", "wrapped"]
    assert sft["report_to"]["types"] == ["null", "str", "list[str]"]
    assert sft["lr_scheduler_type"]["default"] == "linear"
    assert "cosine" in sft["lr_scheduler_type"]["choices"]
    assert "learning rate" in sft["learning_rate"]["help"]
