"""A well-formed call in each response format, and the tool that it calls."""

TOOLS = [
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}  # noqa: E501
]  # fmt: skip
# `f(a="b")`
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
