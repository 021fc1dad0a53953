"""Texts that are hard to write between tags, quotes or brackets."""

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
