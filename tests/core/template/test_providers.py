"""The providers `auto` and `file`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainwright.config.models import RunConfig
from trainwright.errors import ConfigError, ModelError
from trainwright.hooks import TemplateRequest
from trainwright.template import auto, file


def request(tokenizer, *, assistant_only=True, folder=Path(), path=None):
    settings = file.Settings(path=path) if path else None
    return TemplateRequest("sft", tokenizer, settings, folder, assistant_only)


def test_auto_leaves_it_to_trl_where_no_mask_is_asked(tokenizer):
    answer = auto.chat_template(request(tokenizer, assistant_only=False))
    assert (answer.chat_template, answer.tokenize) == (None, None)
    tokenizer.chat_template = None
    assert auto.chat_template(request(tokenizer, assistant_only=False)).tokenize is None


def test_auto_says_how_it_masks(tokenizer, two_turns):
    answer = auto.chat_template(request(tokenizer))
    assert answer.source == "auto: prefix rendering, verified"
    assert answer.chat_template is None
    assert sum(answer.tokenize(two_turns).supervised) > 0
    tokenizer.chat_template = "{%- generation -%}{{ messages[-1].content }}{%- endgeneration -%}"
    assert auto.chat_template(request(tokenizer)).source.startswith("auto: {% generation %} markers, verified")


def test_auto_needs_a_chat_template(tokenizer):
    tokenizer.chat_template = None
    with pytest.raises(ModelError):
        auto.chat_template(request(tokenizer))


def test_file_replaces_the_template(tokenizer, two_turns, tmp_path, show):
    text = tokenizer.chat_template.replace("<|im_start|>{{", "<|im_start|>the {{")
    (tmp_path / "mine.jinja").write_text(text)
    answer = file.chat_template(request(tokenizer, folder=tmp_path, path="mine.jinja"))
    assert answer.chat_template == text
    assert answer.source == "file: mine.jinja: prefix rendering, verified"
    with pytest.raises(Exception, match="prompt of message 1"):  # "the assistant" differs from the prompt
        answer.tokenize(two_turns)
    unmasked = file.chat_template(request(tokenizer, folder=tmp_path, path="mine.jinja", assistant_only=False))
    assert (unmasked.chat_template, unmasked.tokenize) == (text, None)


def test_file_is_sought_beside_the_config_then_here(tokenizer, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "here" / "a.jinja").write_text("here {{ messages }}")
    monkeypatch.chdir(tmp_path / "here")
    asked = request(tokenizer, assistant_only=False, folder=tmp_path / "config", path="a.jinja")
    assert file.chat_template(asked).chat_template.startswith("here")
    (tmp_path / "config" / "a.jinja").write_text("beside {{ messages }}")
    assert file.chat_template(asked).chat_template.startswith("beside")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no chat template at"),
        (b"", "is empty"),
        (b"\xff\xfe\x00", "cannot read the chat template"),
        (b"{% for m in messages %}\n{{ m.content }}\n{% endfor\n", "bad.jinja:3: not a Jinja template"),
        (b"{% generation %}", "not a Jinja template"),
    ],
)
def test_a_bad_file_is_found_by_validate_and_by_the_run(tokenizer, tmp_path, content, message):
    path = tmp_path / "bad.jinja"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        file.chat_template(request(tokenizer, path=path))
    config = RunConfig(model="m", output="out", template={"name": "file", "path": str(path)})
    (problem,) = file.validate_config(config)
    assert message in str(problem)


def test_a_path_alone_stands_for_the_provider_file(tmp_path):
    config = RunConfig(model="m", output="o", template=str(tmp_path / "none.jinja"))
    assert config.template.name == "file"
    (problem,) = file.validate_config(config)
    assert "no chat template at" in problem.message


def test_validate_accepts_markers_and_ignores_other_providers(tmp_path):
    good = tmp_path / "good.jinja"
    good.write_text("{% for m in messages %}{% generation %}{% continue %}{% endgeneration %}{% endfor %}")
    assert file.validate_config(RunConfig(model="m", output="o", template={"name": "file", "path": str(good)})) == []
    assert file.validate_config(RunConfig(model="m", output="o")) == []


def test_the_providers_import_nothing_heavy():
    code = (
        "import sys, trainwright.template.auto, trainwright.template.file\n"
        "print([name for name in ('torch', 'transformers', 'trl', 'datasets', 'jinja2') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
