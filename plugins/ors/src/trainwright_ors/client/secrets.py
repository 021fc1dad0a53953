"""What must not be seen: in which channel each server reads its secrets, and how text is rid of them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from trainwright_ors.client.types import Generation

_MASK = "***"
_TELLING = 8  # characters; shorter values are no secrets worth the name, and would be found in innocent text
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Hidden:
    """Rids text of secrets.

    Args:
        secrets: Their values; those of less than eight characters are not looked for.
    """

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        values = (secret.get_secret_value() for secret in secrets)
        self._values = tuple(
            SecretStr(value) for value in sorted(values, key=len, reverse=True) if len(value) >= _TELLING
        )

    def mask(self, text: str) -> str:
        """The text without the secrets, else as it is."""
        for secret in self._values:
            text = text.replace(secret.get_secret_value(), _MASK)
        return text

    def brief(self, text: str, sid: str = "", limit: int = 2000) -> str:
        """Text for a message: without secrets, the session's id and control characters, and not endless."""
        text = self.mask(text.replace(sid, _MASK) if sid else text)
        text = _CONTROL.sub("", text).strip()
        return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def channel(
    generation: Generation, secrets: Mapping[str, SecretStr], domains: Mapping[str, Sequence[str]]
) -> tuple[dict[str, str], dict[str, Any]]:
    """The headers and the keys of the body by which a session's creation hands over its secrets.

    ors-sdk reads the body and ignores the header; openreward reads the header and refuses the body's key.

    Args:
        generation: The server's.
        secrets: Values by name.
        domains: By name, the hosts that a secret may be sent to from a hosted sandbox; openreward alone knows them.
    """
    if not secrets:
        return {}, {}
    if generation == "ors":
        return {}, {"secrets": {name: secret.get_secret_value() for name, secret in secrets.items()}}
    entries = {name: _entry(secret, domains.get(name)) for name, secret in secrets.items()}
    return {"X-Secrets": base64.b64encode(json.dumps(entries).encode()).decode()}, {}


def _entry(secret: SecretStr, domains: Sequence[str] | None) -> dict[str, Any]:
    return {"value": secret.get_secret_value()} | ({} if domains is None else {"allowed_domains": list(domains)})
