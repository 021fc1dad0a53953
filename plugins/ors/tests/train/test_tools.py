"""Tools as TRL finds them: verbatim, whatever they are called, and nothing evaluated."""

import inspect
import json
from concurrent.futures import Future

import pytest

from trainwright_ors.client import OrsError, Toolset, ToolSpec
from trainwright_ors.client.errors import Place
from trainwright_ors.tools import MAX_SCHEMA, attributes, checked, schema

CYCLIC = {"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}}
HOSTILE = ["reset", "__init__", "get_reward", "_score", "from", "fs.read-file", "a\nimport os", "é", "x" * 500, "self"]


def episode(*specs):
    """An instance of a class with these tools, and the calls that it is asked for."""
    calls = []

    def begin(self, name, arguments):
        calls.append((name, arguments))
        future = Future()
        future.set_result("done")
        return future

    return type("Made", (), {"_begin_call": begin, "_waits": lambda self: None, **attributes(specs)})(), calls


def discovered(instance):
    """As TRL finds them."""
    return [
        getattr(instance, name) for name, _ in inspect.getmembers(type(instance), inspect.isfunction) if name[0] != "_"
    ]


def test_any_name_is_a_tool_and_shadows_nothing():
    instance, calls = episode(*(ToolSpec(name, "", None) for name in HOSTILE))
    tools = discovered(instance)
    assert [tool.__name__ for tool in tools] == HOSTILE
    for tool in tools:
        assert tool(**{"self": 1, "from": 2, "a\n": 3}) == "done"
    assert calls == [(name, {"self": 1, "from": 2, "a\n": 3}) for name in HOSTILE]


@pytest.mark.parametrize(
    "given", [CYCLIC, {"type": "object", "properties": {"b": True, "n": {"type": ["integer", "null"]}}}]
)
def test_schemas_are_verbatim(given):
    assert schema(ToolSpec("t", "Args:\n  x: (choices: no)", given)) == {
        "type": "function",
        "function": {"name": "t", "description": "Args:\n  x: (choices: no)", "parameters": given},
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (True, {"type": "object"}),
        (False, {"type": "object", "properties": {}}),
        (None, {"type": "object", "properties": {}}),
    ],
)
def test_schemas_that_are_no_objects_are_shown_as_objects(given, shown):
    assert schema(ToolSpec("t", "", given))["function"]["parameters"] == shown


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ([("a", {}), ("a", {})], "two tools are named 'a'"),
        ([("", {})], "a tool has no name"),
        ([("a", {"x": "y" * MAX_SCHEMA})], "tool 'a' has a schema of 1,0"),
    ],
)
def test_toolsets_that_models_cannot_be_shown_are_refused_by_name(specs, said):
    toolset = Toolset(tuple(ToolSpec(name, "", given) for name, given in specs))
    with pytest.raises(OrsError, match=said) as caught:
        checked(toolset, Place("mathenv", "train[3]"))
    assert "environment 'mathenv', task train[3]" in str(caught.value)


def test_a_template_is_shown_the_schema_as_it_is():
    from ors_scripted import tokenizer

    given = {"type": "object", "properties": {"p": {"$ref": "#/$defs/P"}}, "$defs": {"P": {"enum": ["a", "b"]}}}
    (tool,) = discovered(episode(ToolSpec("fs.read", "d", given))[0])
    text = tokenizer().apply_chat_template([{"role": "user", "content": "q"}], tools=[tool], tokenize=False)
    assert json.dumps(given) in text
