"""Keep secrets out of what is written down: the manifest, the resolved config, the report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(
    r"(^|[_\-.])(token|secret|password|passwd|passphrase|credentials?|authorization|(api|access|private|secret)_?key)$",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


def is_secret(name: str) -> bool:
    """Whether a key's name says that its value is a secret: `hub_token`, `api_key`, `password`; not `pad_token`."""
    return bool(_NAME.search(name)) and name not in _TOKENS_OF_TEXT


_TOKENS_OF_TEXT = frozenset({"pad_token", "eos_token", "bos_token", "unk_token", "sep_token", "image_token"})


def redact(value: Any, mask: str | None = "***") -> Any:
    """A copy of nested values in which secrets are replaced by `mask`, and user and password in URLs are left out."""
    if isinstance(value, Mapping):
        return {
            name: mask if is_secret(str(name)) and isinstance(item, str) else redact(item, mask)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item, mask) for item in value]
    return _USER_INFO.sub("", value) if isinstance(value, str) else value
