"""A server's address, the only place that keys and secrets are sent to."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from trainwright_ors.client.errors import OrsError

HOSTED = "https://sessions.openreward.ai"


@dataclass(frozen=True)
class Origin:
    """A checked base URL.

    Attributes:
        base: The URL without a trailing slash.
        host: The host alone.
        secure: Whether what is sent is encrypted.
    """

    base: str
    host: str
    secure: bool

    @classmethod
    def of(cls, url: str) -> Origin:
        """Check a URL that a person wrote.

        Raises:
            OrsError: It is no http(s) URL of a host, or carries a user, a password, a query or a fragment.
        """
        try:
            parts = urlsplit(url.strip())
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise OrsError(f"the server's URL cannot be read: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise OrsError("the server's URL must begin with http:// or https:// and name a host")
        if parts.username is not None or parts.password is not None:
            raise OrsError("the server's URL holds a user or a password", remedy="give a key as `api_key`")
        if parts.query or parts.fragment:
            raise OrsError("the server's URL has a query or a fragment", remedy="give the base URL alone")
        base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        return cls(base, host, parts.scheme == "https")

    @property
    def local(self) -> bool:
        """Whether it is this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    def url(self, *segments: str) -> str:
        """A URL below the base; each segment is quoted, so that none leads elsewhere."""
        return "/".join([self.base, *(_segment(segment) for segment in segments)])


def _segment(segment: str) -> str:
    if segment in ("", ".", ".."):
        raise OrsError(f"{segment!r} is no name of an environment")
    return quote(segment, safe="")
