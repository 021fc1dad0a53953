"""Fuzzes every response format with atheris, one property a run; CI does not run it.

    pip install atheris
    python tests/fuzz/responses.py any -max_total_time=120

any: no text raises, shows text of the prompt, has calls out of order or arguments that cannot be sent; -timeout=5 finds
texts that take too long.
whole: a call comes back as it was written, whatever its argument.
cut: a text that ends early has no call but those that were written whole.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))  # `response_calls`
with atheris.instrument_imports(include=["trainwright_templates"]):
    from response_calls import CALLS, TOOLS

    from trainwright_templates.parse import Parser, to_message

    PARSERS = {name: Parser(name, TOOLS) for name in CALLS}
PREFIXES = (
    "", "PROMPT<think>", "PROMPT<think></think>", "<|im_start|>assistant\n", ">>>", "<|start|>assistant",
    "<|start|>assistant<|channel|>PROMPT", "<|start|>assistant<|channel|>analysis<|message|>PROMPT",
)  # fmt: skip
TOKEN = re.compile(r"<[^<>]{1,40}>|\[[A-Z_/]{3,20}\]|\w+|.", re.S)
TOKENS = [
    *sorted({token for call in CALLS.values() for token in TOKEN.findall(call)}),
    "<think>", "</think>", "\\", "\\n", '\\"', "\\u00e9", "\ud800", "\0", "```", "null", "1e9", "-", ";", "analysis",
    "final", "<|return|>", "<|im_end|>", "</s>", "None", "'''", "<![CDATA[", "]]>", "[THINK]", "all\n",
    "to=functions.f",
]  # fmt: skip
# Formats that write values as plain text: one that holds these characters may read as something else.
RAW = re.compile(r"[<>|\[\](){}=:,'\"\\\s]|\Z")


def text_of(provider: atheris.FuzzedDataProvider, most: int) -> str:
    """Tokens of the formats, and whatever else there is."""
    return "".join(piece for piece, _ in zip(_pieces(provider), range(most), strict=False))


def _pieces(provider: atheris.FuzzedDataProvider) -> Iterator[str]:
    while provider.remaining_bytes():
        place = provider.ConsumeIntInRange(0, len(TOKENS) + 20)
        yield TOKENS[place] if place < len(TOKENS) else provider.ConsumeUnicode(8)


def any_text(provider: atheris.FuzzedDataProvider, name: str) -> None:
    """Whatever the text."""
    prefix = provider.PickValueInList(list(PREFIXES))
    text = text_of(provider, 200)
    response = PARSERS[name](text, prefix=prefix)
    end = 0
    for call in response.calls:
        bare = PARSERS[name].without_stops(text)
        assert end <= call.span[0] < call.span[1], call
        assert call.raw == bare[slice(*call.span)], call
        assert call.name if call.usable else not call.arguments, call
        if not any("\ud800" <= letter <= "\udfff" for letter in text):
            json.dumps(call.arguments, ensure_ascii=False).encode()
        end = call.span[1]
    assert "PROMPT" not in str(to_message(response)) or "PROMPT" in text, response


def written(provider: atheris.FuzzedDataProvider, name: str) -> tuple[str, str]:
    """An argument, and the call with it."""
    value, call = text_of(provider, 12), CALLS[name]
    if '"b"' in call:
        value = value.encode("utf-8", "replace").decode()
        return value, call.replace('"b"', json.dumps(value, ensure_ascii=provider.ConsumeBool()))
    value = RAW.sub("", value)
    return value, re.sub(r"(?<=['>\n])b(?=['<\]\n])", lambda _: value, call)


def whole_call(provider: atheris.FuzzedDataProvider, name: str) -> None:
    """The call comes back."""
    value, call = written(provider, name)
    found = PARSERS[name](call).calls
    assert [(each.name, each.arguments) for each in found] == [("f", {"a": value})], (call, found)


def cut_call(provider: atheris.FuzzedDataProvider, name: str) -> None:
    """What is executed was written whole."""
    value, call = written(provider, name)
    text = call * 2
    response = PARSERS[name](text[: provider.ConsumeIntInRange(0, len(text))])
    assert all(each.arguments == {"a": value} for each in response.usable_calls), (text, response)


PROPERTIES = {"any": any_text, "whole": whole_call, "cut": cut_call}


def main(arguments: list[str]) -> None:
    """Run atheris on the property that the first argument names."""
    property = PROPERTIES[arguments.pop(1)]

    def check(data: bytes) -> None:
        provider = atheris.FuzzedDataProvider(data)
        property(provider, provider.PickValueInList(list(CALLS)))

    # Expressions match in C, where coverage shows little: long inputs have to be there from the start.
    with TemporaryDirectory() as seeds:
        for place in range(100):
            Path(seeds, str(place)).write_bytes(os.urandom(400))
        atheris.Setup([*arguments, "-keep_seed=1", "-len_control=0", seeds], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
