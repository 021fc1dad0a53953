"""What a server says, on a terminal: nothing of it moves the cursor, and schemas of any shape have a line."""

from __future__ import annotations

import pytest

from trainwright_ors.client import ImageBlock, TextBlock, ToolSpec
from trainwright_ors.verbs.text import blocks_text, line, printable, signature


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x07", "a\rb", "\x9b31m", "\u202e", "\u2028", "\ud800"])
def test_characters_that_steer_a_terminal_are_escapes(hostile):
    shown = printable(hostile)
    assert "\\" in shown
    assert all(char.isprintable() for char in shown)


def test_text_keeps_its_lines_and_a_line_is_one():
    assert printable("a\n\tb é 漢") == "a\n\tb é 漢"
    assert line(" a\n\tb ") == "a b"
    assert len(line("x" * 10_000)) <= 201


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"properties": {"a": {"type": "integer"}, "b": {"default": None}, "c": True}, "required": ["a"]},
         "t(a: integer, b = null, c?)"),
        ({"properties": {"a": {"type": ["integer", "null"]}}, "required": None}, "t(a?)"),
        ({"properties": []}, "t()"),
        (True, "t()"),
        (None, "t()"),
    ],
)  # fmt: skip
def test_the_signature_says_what_is_known(schema, expected):
    assert signature(ToolSpec("t", "", schema)) == expected


def test_images_are_told_not_printed():
    blocks = (TextBlock("seen:"), ImageBlock(b"12345", "image/png\x1b"))
    assert blocks_text(blocks) == "seen:\n[image/png\\x1b, 5 bytes]"
