"""How long hostile text takes to parse: a megabyte of each attack. `python tests/benchmarks/parse.py [FORMAT …]`.

Every format meets every attack: its own call cut anywhere, repeated, nested, never closed, with each filler between,
inside, before and behind, in thinking and out of it. All attacks are timed at 50 kB, and the slowest of them at a
megabyte, so that time beyond linear shows. The goal is half a second a megabyte; exits 1 where a format misses it.
Figures are seconds of one core.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator

from trainwright_templates.parse import Parser, format_names

SIZE, SCREEN = 1_000_000, 50_000
SLOWEST = 12
GOAL = 0.5
TOOLS = [
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}  # noqa: E501
]  # fmt: skip
# One well-formed call of each format; the attacks are made of its beginnings and ends.
CALLS = {
    "apertus": '<|tools_prefix|>[{"f": {"a": "b"}}]<|tools_suffix|>',
    "cohere": '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "f", "parameters": {"a": "b"}}]<|END_ACTION|>',
    "command_r": 'Action:\n```json\n[\n{"tool_name": "f", "parameters": {"a": "b"}}\n]```',
    "deepseek": '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{"a": "b"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',  # noqa: E501
    "deepseek31": '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": "b"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',  # noqa: E501
    "dsml": '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="f">\n<｜DSML｜parameter name="a" string="true">b</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>',  # noqa: E501
    "functionary": '<function=f>{"a": "b"}</function>',
    "functionary22": '<|from|>assistant\n<|recipient|>f\n<|content|>{"a": "b"}\n',
    "functionary32": '>>>f\n{"a": "b"}',
    "gemma4": '<|tool_call>call:f{a:<|"|>b<|"|>}<tool_call|>',
    "gigachat": '<|function_call|>{"name": "f", "arguments": {"a": "b"}}',
    "glm": "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>b</arg_value>\n</tool_call>",
    "granite": '<|tool_call|>[{"name": "f", "arguments": {"a": "b"}}]',
    "granite20b": '<function_call> {"name": "f", "arguments": {"a": "b"}}\n',
    "harmony": '<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": "b"}<|call|>',
    "hermes": '<tool_call>\n{"name": "f", "arguments": {"a": "b"}}\n</tool_call>',
    "hunyuan3": "<tool_call:opensource>f<tool_sep:opensource>\n<arg_key:opensource>a</arg_key:opensource>\n<arg_value:opensource>b</arg_value:opensource>\n</tool_call:opensource>",  # noqa: E501
    "internlm": '<|action_start|><|plugin|>\n{"name": "f", "arguments": {"a": "b"}}<|action_end|>',
    "kimi": '<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": "b"}<|tool_call_end|><|tool_calls_section_end|>',  # noqa: E501
    "kimi3": '<|open|>tools<|sep|><|open|>call tool="f" index="1"<|sep|><|open|>argument key="a" type="string"<|sep|>b<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>',  # noqa: E501
    "lfm": "<|tool_call_start|>[f(a='b')]<|tool_call_end|>",
    "lfm_escaped": "<|tool_call_start|>[f(a='b')]<|tool_call_end|>",
    "llama_json": '<|python_tag|>{"name": "f", "parameters": {"a": "b"}}',
    "minicpm": '<function name="f"><param name="a">b</param></function>',
    "minimax": '<minimax:tool_call>\n<invoke name="f">\n<parameter name="a">b</parameter>\n</invoke>\n</minimax:tool_call>',  # noqa: E501
    "minimax3": ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="f">]<]minimax[>[<a>b]<]minimax[>[</a>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>',  # noqa: E501
    "mistral": '[TOOL_CALLS][{"name": "f", "arguments": {"a": "b"}}]',
    "mistral_args": '[TOOL_CALLS]f[ARGS]{"a": "b"}',
    "muse": '<|start|>assistant to=f<|message|><atem:function_calls>\n<atem:invoke name="f">\n<atem:parameter name="a">b</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eom|>',  # noqa: E501
    "nemotron2": '<TOOLCALL>[{"name": "f", "arguments": {"a": "b"}}]</TOOLCALL>',
    "pythonic": "[f(a='b')]",
    "pythonic_verbatim": "[f(a='b')]",
    "seed": "<seed:tool_call>\n<function=f>\n<parameter=a>b</parameter>\n</function>\n</seed:tool_call>",
    "solar": '<|tool_calls|><|tool_call:begin|>x<|tool_call:name|>f<|tool_call:args|>{"a": "b"}<|tool_call:end|><|calls|>',  # noqa: E501
    "tool_calls": '<tool_calls>[{"name": "f", "arguments": {"a": "b"}}]</tool_calls>',
    "xml_function": "<tool_call>\n<function=f>\n<parameter=a>\nb\n</parameter>\n</function>\n</tool_call>",
}  # fmt: skip
FILLERS = (
    "\n", " ", "\t\n", "\u2028", "\0", '"', "'", "`", "\\", '\\"', "\\'", "\\\\", "{", "[", "(", "}", "]", ")", ")]",
    "<", ">", "</", "<|", "<｜", "|>", ",", ":", "=", "0", "1,", "-1.5e9", "a", "é", "東", "🎉", "null", "true,",
    "a=", "a=1,", "a='b', ", '"a": "b", ', '{"a":', '{"a":"', "{'a':", '[{"a":[', '{"a":1},',
    "f(", "f(a=", "f(a='", "[f(a=1),", "to=", " to=f", "f\n", "all\n", "```json\n",
    "<think>", "</think>", "<tool_call", "<tool_call>", "</tool_call>",
)  # fmt: skip
Attack = Callable[[int], str]


def fill(unit: str) -> Attack:
    """`unit` again and again."""
    return lambda size: (unit * (size // len(unit) + 1))[:size]


def around(before: str, unit: str, behind: str) -> Attack:
    """`unit` again and again between two texts."""
    return lambda size: before + fill(unit)(size) + behind


def attacks(call: str) -> Iterator[tuple[str, Attack]]:
    """Texts by their length, with a name each."""
    middle = re.search(r"(?<=[\"'>\n])b(?=[\"'<\]\n])", call)
    assert middle is not None
    opened, shut = call[: middle.start()], call[middle.end() :]
    cuts = sorted({edge.end() for edge in re.finditer(r"[<>\[\](){}:=\n]", call)} - {len(call)})
    for cut in cuts:
        yield f"cut at {cut}, repeated", fill(call[:cut])
        yield f"from {cut} on, repeated", fill(call[cut:])
        yield f"cut at {cut}, then whole calls", around(call[:cut], call, "")
        yield f"cut at {cut}, then it again without its end", around(call[:cut], opened, "")
    yield "whole calls", fill(call)
    yield "end before start", fill(shut + opened)
    yield "closing tags in a value", around(opened, shut + " ", shut)
    yield "calls in a value", around(opened, call, shut)
    yield "nested openings, closed", lambda size: opened * (size // len(call)) + shut * (size // len(call))
    for tag in ("<think>", "</think>", "<think></think>"):
        yield f"{tag}, whole calls", around(tag, call, "")
        yield f"{tag} before each call", fill(tag + call)
    for filler in FILLERS:
        yield f"{filler!r} in a value", around(opened, filler, shut)
        yield f"{filler!r} in a value that does not end", around(opened, filler, "")
        yield f"{filler!r} before a call", around("", filler, call)
        yield f"{filler!r} in thinking, then a call", around("<think>", filler, "</think>" + call)
        yield f"{filler!r} behind each call", fill(call + filler)
        yield f"{filler!r} in each value that does not end", fill(opened + filler)
        yield f"{filler!r} behind each half opening", fill(call[: middle.start() // 2] + filler)
        yield f"{filler!r} behind each end", fill(shut + filler)
        yield f"{filler!r} long, in few values", fill(opened + filler * 200)


def timed(parser: Parser, text: str) -> float:
    """Seconds of the processor for one text."""
    start = time.process_time()
    parser(text)
    return time.process_time() - start


def slowest(name: str) -> tuple[float, str]:
    """The longest time for a megabyte, and the attack that takes it."""
    parser = Parser(name, TOOLS)
    screened = [(timed(parser, attack(SCREEN)), label, attack) for label, attack in attacks(CALLS[name])]
    screened.sort(key=lambda row: row[0], reverse=True)
    return max((timed(parser, attack(SIZE)), label) for _, label, attack in screened[:SLOWEST])


def main(names: list[str]) -> int:
    """Time the attacks on each format; 1 where one misses the goal."""
    missed = 0
    for name in names or format_names():
        took, label = slowest(name)
        missed += took > GOAL
        print(f"{name:18s} {took:.3f} s  {label}{'  MISSED' if took > GOAL else ''}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
