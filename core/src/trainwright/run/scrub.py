"""Keep secrets out of text that was not written by Trainwright: log records, command lines."""

from __future__ import annotations

import re

from trainwright.config.secrets import is_secret, redact

_ASSIGNMENT = re.compile(
    r"""([\w.-]*(?:token|secret|pass|credential|authorization|key)\w*)  # what may be a secret's name
        (["']?\s*[=:]\s*)
        ("[^"]*"|'[^']*'|[^\s,;{}"']+)""",
    re.IGNORECASE | re.VERBOSE,
)
_KNOWN = re.compile(r"\b(hf_\w{16,}|sk-[\w-]{16,}|gh[opsu]_\w{16,}|github_pat_\w{16,})|(?<=Bearer )\S+")
_MASK = "***"


def scrub(text: str) -> str:
    """The text with tokens of known forms, values of secret keys, and user and password in URLs replaced."""
    text = _KNOWN.sub(_MASK, str(redact(text)))
    return _ASSIGNMENT.sub(lambda found: found[1] + found[2] + (_MASK if is_secret(found[1]) else found[3]), text)
