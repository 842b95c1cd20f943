"""Secrets: where a key comes from, and how it is kept out of everything that is written down."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from agentflow_kernel.errors import CredentialRefused

if TYPE_CHECKING:
    from agentflow_http.settings import HttpSettings

HIDDEN = "[hidden]"
_LOOKS_LIKE_A_KEY = re.compile(r"\b(?:(?:sk|pk)[-_]|Bearer )[A-Za-z0-9_\-.]{12,}")
_SHORTEST = 6
"""Shorter values are not looked for: they would hide half of every message."""


class Secrets:
    """The key of one resource and its secret headers. Shows none of them."""

    __slots__ = ("_settings", "_vendor", "_resource", "_known")

    def __init__(self, settings: HttpSettings, vendor: str, resource: str) -> None:
        self._settings = settings
        self._vendor = vendor
        self._resource = resource
        self._known: set[str] = set()
        for value in settings.extra_headers.values():
            self._learn(value.get_secret_value())

    @property
    def origin(self) -> str:
        """Where the key comes from, for messages: the setting or the variable, and the resource."""
        variable = (
            f"${self._settings.api_key_env}" if self._settings.api_key_env else "nowhere, 'api_key_env' is empty,"
        )
        source = "setting 'api_key'" if self._settings.api_key is not None else variable
        return f"{source} of provider {self._resource!r}"

    def read_key(self) -> str:
        """The key now; empty where none is wanted.

        Raises :class:`CredentialRefused` where it is missing, or holds what no header may hold.
        """
        given, variable = self._settings.api_key, self._settings.api_key_env
        if given is None and not variable:
            return ""
        key = (os.environ.get(variable, "") if given is None else given.get_secret_value()).strip()
        if key.isascii() and key.isprintable() and key and " " not in key:
            self._learn(key)
            return key
        missing = not key
        del key  # tools show the variables of the frames of an error
        if missing:
            hint = f"Set it with `export {variable}=…`." if given is None else "It is empty."
            raise CredentialRefused(f"No key for {self._vendor}: {self.origin} has none. {hint}")
        raise CredentialRefused(f"The key for {self._vendor} in {self.origin} holds characters that no key has.")

    def read_headers(self) -> dict[str, str]:
        """The extra headers, in the open."""
        return {name: value.get_secret_value() for name, value in self._settings.extra_headers.items()}

    def scrub(self, text: str) -> str:
        """The text without any of the secrets, and without whatever looks like a key."""
        for secret in sorted(self._known, key=len, reverse=True):
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return _LOOKS_LIKE_A_KEY.sub(HIDDEN, text)

    def _learn(self, secret: str) -> None:
        for form in (secret, quote(secret, safe="")):
            if len(form) >= _SHORTEST:
                self._known.add(form)
