"""Fuzzes every response format with atheris: `pip install atheris; python tests/fuzz/responses.py -max_total_time=60`.

It looks for texts that raise, hang, break the order of spans, or show text of the prompt. CI does not run it.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["trainwright_templates"]):
    from trainwright_templates.parse import Parser, format_names, to_message

TOOLS = [{"function": {"name": "f", "parameters": {"properties": {"a": {"type": "string"}, "n": {"type": "integer"}}}}}]
PARSERS = [Parser(name, TOOLS) for name in format_names()]
PREFIXES = ("", "PROMPT<think>", "PROMPT<think></think>", "<|channel|>PROMPT")


def check(data: bytes) -> None:
    """Parse one text by one format."""
    provider = atheris.FuzzedDataProvider(data)
    parser = PARSERS[provider.ConsumeIntInRange(0, len(PARSERS) - 1)]
    prefix = PREFIXES[provider.ConsumeIntInRange(0, len(PREFIXES) - 1)]
    text = provider.ConsumeUnicode(4096)
    response = parser(text, prefix=prefix)
    end = 0
    for call in response.calls:
        if not end <= call.span[0] < call.span[1] or (call.arguments and not call.usable):
            raise AssertionError(call)
        end = call.span[1]
    if "PROMPT" in str(to_message(response)) and "PROMPT" not in text:
        raise AssertionError(response)


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
