"""Formats by name, formats of third parties, and the guide's own example."""

import re
from pathlib import Path

import pytest

from trainwright.errors import PluginError
from trainwright_templates.parse import Format, Parser, format_names, response_format
from trainwright_templates.parse.calls import MAX_CALLS

GUIDE = Path(__file__).parents[4] / "docs/responses.md"


def test_every_installed_format_loads_under_its_name():
    for name in format_names():
        format = response_format(name)
        assert isinstance(format, Format)
        assert format.name == name


def test_an_unknown_format_names_those_that_exist():
    with pytest.raises(PluginError, match="hermes"):
        response_format("hermse")


def test_the_guides_example_of_a_format_runs():
    (example,) = re.findall(r"```python\n(import json.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
    exec(compile(example, str(GUIDE), "exec"), {})


def test_every_format_is_in_the_guide():
    guide = GUIDE.read_text(encoding="utf-8")
    assert [name for name in format_names() if f"`{name}`" not in guide] == []


def test_calls_beyond_the_limit_are_one_malformed_call():
    text = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>' * (MAX_CALLS + 9)
    calls = Parser("hermes")(text).calls
    assert len(calls) == MAX_CALLS + 1
    assert calls[-1].status == "malformed"
    assert calls[-1].span[1] == len(text)
