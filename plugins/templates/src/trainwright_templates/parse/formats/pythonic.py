"""Calls as a list of Python calls: Llama, ToolACE and Gemma 3 without tags, LFM2 between tags.

Some templates write strings without escapes, or without quotes; those have a format of their own.
"""

import re

from trainwright_templates.parse.format import TaggedFormat
from trainwright_templates.parse.python_calls import PythonCalls

_BARE = re.compile(r"\[(?=\s*+[A-Za-z_][\w.\-]{0,127}+\()")
_LFM = re.compile(r"<\|tool_call_start\|>")

_NOISE = ("<|python_start|>", "<|python_end|>")

BARE = TaggedFormat("pythonic", _BARE, PythonCalls(), noise=_NOISE)
BARE_VERBATIM = TaggedFormat("pythonic_verbatim", _BARE, PythonCalls(verbatim=True), noise=_NOISE)
LFM = TaggedFormat("lfm", _LFM, PythonCalls("<|tool_call_end|>", verbatim=True))
LFM_ESCAPED = TaggedFormat("lfm_escaped", _LFM, PythonCalls("<|tool_call_end|>"))
