"""Texts that are hard to write between tags, quotes or brackets, and calls as the formats write them."""

import json

HARD = (
    "</tool_call>", "</parameter>", "</function>", "</arg_value>", "</invoke>", "a</parameter>\nb", "  spaces  ", 'say "hi"',  # noqa: E501
    "it's", "f(a, b)", "a, b=c", "{'x': [1}", "back\\slash", "two\nlines", "日本語 🎉", "null", "75001", "true", "", "<think>x",  # noqa: E501
    "```json\n{}\n```", "<b>&amp;</b>", "<|im_end|>",
)  # fmt: skip
# What the formats write around values and calls.
DELIMITERS = (
    "<tool_call>", "<|tool_call_end|>", "<｜tool▁call▁end｜>", "</｜DSML｜parameter>", "<|END_ACTION|>", "]", ")]",
    "[TOOL_CALLS]", "<tool_call|>", "<|call|>", "</TOOLCALL>", "</tool_calls>", '<|"|>', "<|tool_call:end|>",
    "<function=find-it.now>", "<parameter=text>", "<|close|>argument<|sep|>", "]<]minimax[>[", "</param>", "</think>",
    "<arg_key>text</arg_key>", "<![CDATA[x]]>", "]]>", "', b='", "</atem:parameter>", "<|message|>",
    "<|start|>assistant", "Action:\n```json\n[", ">>>all\n", "[1, 2", '{"a": 1}', '{"name": "f", "arguments": {}}',
    "end\n", "\nstart",
    "\ttab\r\n", "\u2028", "</arg_value>\n</tool_call>", "</parameter>\n</function>\n</tool_call>",
    "<function=f>\n<parameter=a>\n1\n</parameter>\n</function>",
)  # fmt: skip


# A call of `get_weather` with the arguments `%s`; what ends the call, if anything does, comes last.
JSON_CALLS = {
    "hermes": '<tool_call>\n{"name": "get_weather", "arguments": %s}\n</tool_call>',
    "llama_json": '{"name": "get_weather", "parameters": %s}',
    "harmony": "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>%s<|call|>",
    "mistral": '[TOOL_CALLS][{"name": "get_weather", "arguments": %s}]',
    "mistral_args": "[TOOL_CALLS]get_weather[ARGS]%s",
    "deepseek31": "<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>%s<｜tool▁call▁end｜>",
    "kimi": "<|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>%s<|tool_call_end|>",
    "cohere": '<|START_ACTION|>[{"tool_name": "get_weather", "parameters": %s}]<|END_ACTION|>',
    "deepseek": "<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n%s\n```<｜tool▁call▁end｜>",
    "granite": '<|tool_call|>[{"name": "get_weather", "arguments": %s}]',
    "functionary": "<function=get_weather>%s</function>",
    "functionary32": ">>>get_weather\n%s",
    "command_r": 'Action:\n```json\n[{"tool_name": "get_weather", "parameters": %s}]\n```',
    "solar": "<|tool_call:begin|>x<|tool_call:name|>get_weather<|tool_call:args|>%s<|tool_call:end|>",
}
# The opening, a parameter, what stands between two, and the end, in formats without JSON.
TAGGED_CALLS = {
    "xml_function": (
        "<tool_call>\n<function=get_weather>\n",
        "<parameter=KEY>\n%s\n</parameter>\n",
        "",
        "</function>\n</tool_call>",
    ),
    "seed": (
        "<seed:tool_call>\n<function=get_weather>\n",
        "<parameter=KEY>%s</parameter>\n",
        "",
        "</function>\n</seed:tool_call>",
    ),
    "minicpm": ('<function name="get_weather">', '<param name="KEY">%s</param>', "", "</function>"),
    "glm": (
        "<tool_call>get_weather\n",
        "<arg_key>KEY</arg_key>\n<arg_value>%s</arg_value>\n",
        "",
        "</tool_call>",
    ),
    "minimax": ('<invoke name="get_weather">\n', '<parameter name="KEY">%s</parameter>\n', "", "</invoke>"),
    "muse": (
        '<atem:invoke name="get_weather">\n',
        '<atem:parameter name="KEY">%s</atem:parameter>\n',
        "",
        "</atem:invoke>",
    ),
    "dsml": (
        '<｜DSML｜invoke name="get_weather">\n',
        '<｜DSML｜parameter name="KEY" string="true">%s</｜DSML｜parameter>\n',
        "",
        "</｜DSML｜invoke>",
    ),
    "kimi3": (
        '<|open|>call tool="get_weather" index="1"<|sep|>',
        '<|open|>argument key="KEY" type="string"<|sep|>%s<|close|>argument<|sep|>',
        "",
        "<|close|>call<|sep|>",
    ),
    "minimax3": (
        ']<]minimax[>[<invoke name="get_weather">',
        "]<]minimax[>[<KEY>%s]<]minimax[>[</KEY>",
        "",
        "]<]minimax[>[</invoke>",
    ),
    "lfm": ("<|tool_call_start|>[get_weather(", "KEY='%s'", ", ", ")]<|tool_call_end|>"),
    "pythonic_verbatim": ("[get_weather(", "KEY='%s'", ", ", ")]"),
    "gemma4": ("<|tool_call>call:get_weather{", 'KEY:<|"|>%s<|"|>', ",", "}<tool_call|>"),
}


def written(format: str, **arguments: str) -> str:
    """A call of `get_weather` with these texts as arguments."""
    if format in JSON_CALLS:
        return JSON_CALLS[format] % json.dumps(arguments, ensure_ascii=False)
    opening, parameter, between, end = TAGGED_CALLS[format]
    return opening + between.join(parameter.replace("KEY", key) % value for key, value in arguments.items()) + end
