"""How long hostile text takes to parse: a megabyte a format and attack. `python tests/benchmarks/parse.py [FORMAT …]`.

Every format meets every attack: its own markers repeated, opened and never closed, nested, and filled with quotes and
brackets. The goal is half a second a megabyte; exits 1 where a format misses it. Figures are seconds of one core.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from trainwright_templates.parse import Parser, format_names

SIZE = 1_000_000
GOAL = 0.5
TOOLS = [
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}  # noqa: E501
]  # fmt: skip
# One well-formed call of each format; the attacks are made of its beginnings and ends.
CALLS = {
    "apertus": '<|tools_prefix|>[{"f": {"a": "b"}}]<|tools_suffix|>',
    "cohere": '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "f", "parameters": {"a": "b"}}]<|END_ACTION|>',
    "deepseek": '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{"a": "b"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',  # noqa: E501
    "deepseek31": '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": "b"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',  # noqa: E501
    "dsml": '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="f">\n<｜DSML｜parameter name="a" string="true">b</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>',  # noqa: E501
    "functionary": '<function=f>{"a": "b"}</function>',
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
    "lfm": "<|tool_call_start|>[f(a='b')]<|tool_call_end|>",
    "lfm_escaped": "<|tool_call_start|>[f(a='b')]<|tool_call_end|>",
    "llama_json": '<|python_tag|>{"name": "f", "parameters": {"a": "b"}}',
    "minicpm": '<function name="f"><param name="a">b</param></function>',
    "minimax": '<minimax:tool_call>\n<invoke name="f">\n<parameter name="a">b</parameter>\n</invoke>\n</minimax:tool_call>',  # noqa: E501
    "mistral": '[TOOL_CALLS][{"name": "f", "arguments": {"a": "b"}}]',
    "mistral_args": '[TOOL_CALLS]f[ARGS]{"a": "b"}',
    "nemotron2": '<TOOLCALL>[{"name": "f", "arguments": {"a": "b"}}]</TOOLCALL>',
    "pythonic": "[f(a='b')]",
    "seed": "<seed:tool_call>\n<function=f>\n<parameter=a>b</parameter>\n</function>\n</seed:tool_call>",
    "solar": '<|tool_calls|><|tool_call:begin|>x<|tool_call:name|>f<|tool_call:args|>{"a": "b"}<|tool_call:end|><|calls|>',  # noqa: E501
    "tool_calls": '<tool_calls>[{"name": "f", "arguments": {"a": "b"}}]</tool_calls>',
    "xml_function": "<tool_call>\n<function=f>\n<parameter=a>\nb\n</parameter>\n</function>\n</tool_call>",
}  # fmt: skip
FILLERS = ("", "\n", '"', "'", "{", "[", '{"a":', '{"a":"', "{'a':", "1,", "a", '\\"', "<")


def attacks(call: str) -> Iterator[tuple[str, str]]:
    """Texts of `SIZE` characters, with a name each."""
    middle = call.rindex("b", 0, len(call) - 1) if '"b"' not in call else call.index('"b"') + 1
    for filler in FILLERS:
        for name, cut in (("open", call[:middle]), ("half", call[: middle // 2]), ("shut", call[middle + 1 :])):
            unit = cut + filler
            yield f"{name} repeated, {filler!r}", (unit * (SIZE // len(unit) + 1))[:SIZE]
            if filler:
                yield f"{name} once, then {filler!r}", (cut + filler * (SIZE // len(filler) + 1))[:SIZE]
                yield f"{name}, {filler!r}, whole calls", (cut + filler + call * (SIZE // len(call)))[:SIZE]
    yield "whole calls", call * (SIZE // len(call))
    yield "ends repeated", (call[middle:] + call[:middle]) * (SIZE // len(call))
    yield "one long value", call[:middle] + "b" * SIZE + call[middle + 1 :]
    yield "closing tags in a value", call[:middle] + call[middle + 2 :] * (SIZE // len(call)) + call[middle + 1 :]
    yield "numbers", call[:middle] + "0,[]," * (SIZE // 5) + call[middle + 1 :]
    yield "a list", call.replace('"b"', "[" + "0," * (SIZE // 2) + "0]").replace("'b'", "[" + "0," * (SIZE // 2) + "0]")


def main(names: list[str]) -> int:
    """Time every attack on each format; 1 where one misses the goal."""
    missed = 0
    for name in names or format_names():
        parser, slowest = Parser(name, TOOLS), (0.0, "")
        for label, text in attacks(CALLS[name]):
            start = time.process_time()
            parser(text)
            slowest = max(slowest, (time.process_time() - start, label))
        missed += slowest[0] > GOAL
        print(f"{name:14s} {slowest[0]:.3f} s  {slowest[1]}{'  MISSED' if slowest[0] > GOAL else ''}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
