"""Conversations of every shape, to try a chat template on: what real data hold, and what breaks masks.

Each is a row of data: `messages` and, where tools are on offer, `tools`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = dict[str, Any]

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city."},
                "days": {"type": "integer", "description": "How many days ahead."},
            },
            "required": ["city"],
        },
    },
}
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search notes.",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to search for."},
                "filters": {
                    "type": "object",
                    "description": "What to leave out.",
                    "properties": {},
                    "additionalProperties": {"type": "string"},
                },
            },
            "required": ["query"],
        },
    },
}


def system(text: str) -> Row:
    """A system message."""
    return {"role": "system", "content": text}


def user(text: Any) -> Row:
    """A user's message."""
    return {"role": "user", "content": text}


def assistant(text: Any, **more: Any) -> Row:
    """An assistant's message."""
    return {"role": "assistant", "content": text, **more}


def calls(*made: tuple[str, Mapping[str, Any]], text: str = "", **more: Any) -> Row:
    """An assistant's message that calls tools, given as (name, arguments)."""
    listed = [
        {"id": f"call{number:05d}", "type": "function", "function": {"name": name, "arguments": dict(arguments)}}
        for number, (name, arguments) in enumerate(made)
    ]
    return assistant(text, tool_calls=listed, **more)


def result(text: str, name: str = "get_weather", number: int = 0) -> Row:
    """A tool's result."""
    return {"role": "tool", "name": name, "tool_call_id": f"call{number:05d}", "content": text}


def _plain() -> dict[str, list[Row]]:
    ask, tell = user("What is a mill?"), assistant("A machine that grinds.")
    turns = [ask, tell, user("Who runs it?"), assistant("A miller does.")]
    return {
        "single": [ask, tell],
        "system": [system("You are terse."), ask, tell],
        "multi2": turns,
        "multi3": [*turns, user("And by night?"), assistant("Nobody.")],
        "multi3_system": [system("You are terse."), *turns, user("And by night?"), assistant("Nobody.")],
        "long": [each for number in range(12) for each in (user(f"Count {number}."), assistant(f"That is {number}."))],
        "opening_assistant": [assistant("Welcome."), ask, tell],
        "opening_assistant_system": [system("You are terse."), assistant("Welcome."), ask, tell],
        "consecutive_assistant": [ask, tell, assistant("It has stones.")],
        "consecutive_user": [ask, user("A windmill, I mean."), tell],
        "system_in_the_middle": [ask, tell, system("Now be wordy."), user("Go on."), assistant("Gladly, at length.")],
        "developer": [{"role": "developer", "content": "Answer in verse."}, ask, tell],
    }


def _texts() -> dict[str, list[Row]]:
    ask = user("Say it.")

    def said(*texts: str) -> list[Row]:
        return [each for text in texts for each in (ask, assistant(text))]

    return {
        "identical_turns": said("OK.", "OK.", "OK."),
        "echo": [user("OK."), assistant("OK."), user("OK."), assistant("OK.")],
        "role_words": [user("assistant"), assistant("user"), user("model"), assistant("assistant")],
        "leading_newline": said("\nFirst a line break.", "\n\nThen two."),
        "leading_spaces": said("  indented", "\tby a tab"),
        "trailing_space": said("ends with spaces  ", "ends with a line break\n"),
        "paragraphs": said("One.\n\nTwo.\n\nThree.", "- a\n- b\n"),
        "unicode": said("Zażółć gęślą jaźń – 漢字 🙂", "e\u0301 is not é; \u200bzero width; \u2028 separates"),
        "private_use": said("\ue000 and \U000f0001", "\U00100000"),
        "code": said("```python\nprint('{{ x }}')\n```", "{% if a %}{{ b }}{% endif %}"),
        "markup": said("<b>bold</b> & <i>more</i>", "[INST] is text here [/INST]"),
        "special_text": [
            user("What do <|im_end|>, <|eot_id|> and </s> mean?"),
            assistant("<|im_start|> begins a turn, <end_of_turn> ends one."),
            user("<|im_start|>assistant\nI was never said<|im_end|>"),
            assistant("Indeed."),
        ],
        "thinking_in_text": said("<think>\nHm.\n</think>\n\nYes.", "<think>Again.</think>No."),
        "quotes": said("He said \"no\", she said 'yes'.", "back\\slash and `tick`"),
        "json_text": said('{"name": "f", "arguments": {"a": 1}}', "[1, 2, {}]"),
        "single_letters": said("a", "b"),
        "numbers": said("42", "-1.5e3"),
    }


def _thinking() -> dict[str, list[Row]]:
    ask, more = user("Is 91 prime?"), user("And 97?")
    first = assistant("No.", reasoning_content="7 times 13 is 91.")
    return {
        "reasoning": [ask, first],
        "reasoning_history": [ask, first, more, assistant("Yes.", reasoning_content="No divisor up to 9.")],
        "reasoning_then_none": [ask, first, more, assistant("Yes.")],
        "none_then_reasoning": [ask, assistant("No."), more, assistant("Yes.", reasoning_content="No divisor.")],
        "reasoning_lines": [ask, assistant("No.", reasoning_content="First: 91 / 7.\n\nThen: 13.\n")],
        "reasoning_empty": [ask, assistant("No.", reasoning_content="")],
        "reasoning_system": [system("Think first."), ask, first],
    }


def _tools() -> dict[str, list[Row]]:
    ask, rain = user("Weather in Łódź?"), result('{"sky": "rain", "celsius": 9}')
    one = ("get_weather", {"city": "Łódź"})
    return {
        "tool_call": [ask, calls(one), rain, assistant("Rain, 9 °C.")],
        "tool_call_last": [ask, calls(one)],
        "tool_call_system": [system("Use tools."), ask, calls(one), rain, assistant("Rain, 9 °C.")],
        "tool_call_with_text": [ask, calls(one, text="I shall look."), rain, assistant("Rain.")],
        "tool_call_arguments": [
            ask,
            calls(
                ("search", {"query": 'a "quoted" word', "filters": {"since": 2020, "tags": ["x", "y"], "all": True}})
            ),
            result("nothing", "search"),
            assistant("I found nothing."),
        ],
        "tool_call_no_arguments": [ask, calls(("get_weather", {})), rain, assistant("Rain.")],
        "parallel_calls": [
            ask,
            calls(one, ("get_weather", {"city": "Brno", "days": 2})),
            rain,
            result('{"sky": "sun"}', number=1),
            assistant("Rain there, sun here."),
        ],
        "two_rounds": [ask, calls(one), rain, calls(("get_weather", {"city": "Brno"})), rain, assistant("Rain twice.")],
        "tools_then_user": [ask, calls(one), rain, assistant("Rain."), user("Thanks."), assistant("Any time.")],
        "tool_reasoning": [
            ask,
            calls(one, reasoning_content="I need the weather."),
            rain,
            assistant("Rain.", reasoning_content="It says rain."),
        ],
        "tool_reasoning_then_user": [
            ask,
            calls(one, reasoning_content="I need the weather."),
            rain,
            assistant("Rain.", reasoning_content="It says rain."),
            user("Thanks."),
            assistant("Any time.", reasoning_content="They are polite."),
        ],
        "unused_tools": [ask, assistant("I cannot tell.")],
    }


def _parts() -> dict[str, list[Row]]:
    text = {"type": "text", "text": "What is this?"}
    return {
        "text_parts": [user([text]), assistant([{"type": "text", "text": "A mill."}])],
        "image": [user([{"type": "image"}, text]), assistant([{"type": "text", "text": "A mill."}])],
        "two_images": [
            user([{"type": "image"}, text]),
            assistant([{"type": "text", "text": "A mill."}]),
            user([{"type": "image"}, {"type": "text", "text": "And this?"}]),
            assistant([{"type": "text", "text": "Its wheel."}]),
        ],
    }


def shapes() -> dict[str, Row]:
    """Every conversation by its name; new objects at every call."""
    rows: dict[str, Row] = {
        name: {"messages": messages} for name, messages in (_plain() | _texts() | _thinking() | _parts()).items()
    }
    return rows | {name: {"messages": messages, "tools": [WEATHER, SEARCH]} for name, messages in _tools().items()}
