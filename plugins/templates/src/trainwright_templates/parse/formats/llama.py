"""Llama 3 and 4, xLAM, Phi-4 mini: a JSON object or list without tags, after `<|python_tag|>` or after nothing.

Llama writes `parameters` where others write `arguments`, may put `"type": "function"` first and several calls in a row.
Text is a call here only where it has a name and arguments and, below the start, names a tool that exists.
"""

import re

from trainwright_templates.parse.format import TaggedFormat
from trainwright_templates.parse.json_calls import JsonCalls

_OPENING = re.compile(
    r'(?:<\|python_tag\|>\s*+)?(?:(?:\A```|```json)\s*+)?(?=(?:\[\s*+)?\{\s*+["\'](?:name|type|function)["\'])'
)


FORMAT = TaggedFormat(
    "llama_json", _OPENING, JsonCalls(_OPENING, bare=True), noise=("<|python_start|>", "<|python_end|>")
)
