"""An address: where a service is, checked before a key goes there."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_NO_URL = re.compile(r"[\x00-\x20\x7f\\]")
"""Characters that parsers of addresses disagree about; none belongs into one (RFC 3986)."""


def checked_address(text: str, *, allow_http: bool) -> str:
    """The address without a slash at its end.

    Raises :class:`ValueError` for what is no HTTP address, for a user or password in it (they would be logged), and
    for `http` to another machine unless ``allow_http``.
    """
    try:
        url = urlsplit("" if _NO_URL.search(text) else text)
        host, _ = url.hostname or "", url.port
    except ValueError:
        return _refuse("is no address. Expected 'https://host' or the like")
    if "@" in url.netloc:
        return _refuse("holds a user or password. Give them in 'api_key' or 'extra_headers'")
    if url.scheme not in {"http", "https"} or not host:
        return _refuse("is no address. Expected 'https://host' or the like")
    if url.query or url.fragment:
        return _refuse("holds a query or fragment. Expected 'https://host/path'")
    if url.scheme == "http" and not (allow_http or _is_loopback(host)):
        return _refuse(
            f"is {text!r}: without TLS the key could be read on its way. "
            "Use 'https', or set 'allow_http: true' for a network that you trust"
        )
    return text.rstrip("/")


def _refuse(problem: str) -> str:
    raise ValueError(problem)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
