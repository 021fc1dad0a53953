"""Published templates: every conversation gets a mask, or a refusal that says why; where the corpus is at hand."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from trainwright_templates.engine import Engine, Refused
from trainwright_templates.render import RenderError, Template, TemplateError
from trainwright_templates.shapes import shapes

HERE = Path(__file__).resolve().parents[4]
CORPUS = Path(os.environ.get("TRAINWRIGHT_CORPUS", HERE.parent / "shared" / "corpus" / "chat_templates.json"))
pytestmark = pytest.mark.skipif(not CORPUS.is_file(), reason="the corpus of published templates is not at hand")

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
NAMES = ("multi3_system", "thinking_in_text", "reasoning_history", "two_rounds", "leading_newline", "identical_turns")


def engines():
    for name, entry in json.loads(CORPUS.read_text(encoding="utf-8")).items():
        try:
            yield name, Engine(Template(entry["template"], special=SPECIAL, now=datetime(2026, 1, 2)))
        except TemplateError:
            continue


def test_masks_hold_what_is_said_in_order_and_apart():
    answered = refused = 0
    for name, engine in engines():
        for shape in NAMES:
            row = shapes()[shape]
            try:
                made = engine.derive(row["messages"], row.get("tools"))
            except RenderError:
                continue
            except Refused as error:
                refused += "tool call" not in str(error) and "leaves out all" not in str(error)
                continue
            answered += 1
            edges = [edge for span in made.spans for edge in (span.start, span.end)]
            assert edges == sorted(edges), (name, shape)
            for span in made.spans:
                held = "".join(made.text[span.start : span.end].split())
                content = "".join(str(row["messages"][span.turn]["content"]).split())
                told = {note.kind for note in made.notes if note.turn == span.turn}
                begun = content.removeprefix("<think>")  # by a prompt that begins the thought
                assert content in held or begun in held or "dropped_content" in told, (name, shape)
                for index, message in enumerate(row["messages"]):
                    if message["role"] in ("user", "tool") and shape != "identical_turns":
                        assert "".join(message["content"].split()) not in held, (name, shape, index)
    assert answered > 1000
    assert refused <= answered / 1000
