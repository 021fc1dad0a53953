"""Functionary: a recipient before JSON (2.2 and 3.2), or `<function=NAME>` before it (3.1)."""

import re

from trainwright_templates.parse.format import TaggedFormat
from trainwright_templates.parse.headed_calls import HeadedCalls

_FROM = r"<\|from\|>assistant\n<\|recipient\|>"
_V22 = re.compile(rf"(?:{_FROM}|\A)(?P<name>[\w.\-]{{1,128}}+)\n<\|content\|>(?=\s*+(?:\{{|\Z))")
_V31 = re.compile(r"<function=(?P<name>[^<>\n]{1,256}+)>(?=\s*+[{\"])")
_V32 = re.compile(r"(?:>>>|\A)(?P<name>[\w.\-]{1,128}+)\n(?=\s*+(?:\{|\Z))")

V22 = TaggedFormat("functionary22", _V22, HeadedCalls(_V22), lead=re.compile(rf"(?:{_FROM})?all\n<\|content\|>"))
V31 = TaggedFormat("functionary", _V31, HeadedCalls(_V31, "</function>"))
V32 = TaggedFormat("functionary32", _V32, HeadedCalls(_V32), lead=re.compile(r"(?:>>>)?all\n"))
