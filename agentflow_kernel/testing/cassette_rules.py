"""The rules of a cassette: what is secret in it, what does not count when calls are compared, when it is too old."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.redaction import PATTERNS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.values import JSON

    Transform = Callable[[JSON], JSON]

SECRET_PATTERNS = (
    *PATTERNS[:-1],  # all but the names of fields, which stand in `fields`
    # keys in base64: of both cases and with digits, which hashes in hexadecimal and names are not; longer is content
    r"(?<![\w+/-])(?=[\w+/-]*[a-z])(?=[\w+/-]*[A-Z])(?=[\w+/-]*[0-9])[\w+/-]{40,512}={0,2}(?![\w+/=-])",
)
"""Regular expressions of what is secret by its form; where one has a group ``secret``, only that is replaced."""

SECRET_FIELDS = (
    "access_key", "access_token", "api_key", "apikey", "auth_token", "authorization", "bearer_token", "client_secret",
    "cookie", "credential", "credentials", "id_token", "passphrase", "passwd", "password", "private_key",
    "proxy_authorization", "pwd", "refresh_token", "secret", "secret_access_key", "secret_key", "session_token",
    "set_cookie", "token", "x_api_key",
)  # fmt: skip
"""Names of fields whose values are secret; case, ``-`` and ``_`` do not count."""


class CassetteRules:
    """How cassettes are recorded and compared; one object may serve all tests of a project.

    ``secrets`` are values to keep out of the file, besides those of environment variables whose names end in
    ``_KEY``, ``_TOKEN``, ``_SECRET`` or ``_PASSWORD`` (from 6 characters on). ``patterns`` and ``fields`` say what
    else is secret. ``redact`` are functions of a request, result or error as JSON; what they return is written.
    ``normalise`` are functions of a request as JSON; what they return is compared, the file keeps what was asked.
    ``order`` is ``any`` (a call may be answered as soon as an equal one is unplayed; equal ones in their order) or
    ``exact`` (the n-th call must equal the n-th recorded one). ``max_age_s`` is how old a recording may be.
    ``on_failure`` says what becomes of a recording whose test fails: ``keep`` the old file, or ``write`` the new one.
    """

    __slots__ = ("secrets", "patterns", "fields", "redact", "normalise", "order", "max_age_s", "on_failure", "clock")

    def __init__(
        self,
        *,
        secrets: Sequence[str] = (),
        patterns: Sequence[str] = SECRET_PATTERNS,
        fields: Sequence[str] = SECRET_FIELDS,
        redact: Sequence[Transform] = (),
        normalise: Sequence[Transform] = (),
        order: Literal["any", "exact"] = "any",
        max_age_s: float | None = None,
        on_failure: Literal["keep", "write"] = "keep",
        clock: Clock | None = None,
    ) -> None:
        self.secrets = tuple(secrets)
        self.patterns = tuple(patterns)
        self.fields = tuple(fields)
        self.redact = tuple(redact)
        self.normalise = tuple(normalise)
        self.order = order
        self.max_age_s = max_age_s
        self.on_failure = on_failure
        self.clock: Clock = clock if clock is not None else SystemClock()


def replace_text(pattern: str, replacement: str) -> Transform:
    """A function for ``redact`` or ``normalise``: replaces a regular expression in every text, names of fields too."""
    expression = re.compile(pattern)
    return lambda document: map_texts(document, lambda text: expression.sub(replacement, text))


def map_texts(document: JSON, change: Callable[[str], str]) -> JSON:
    """The document with every text in it changed, names of fields included."""
    if isinstance(document, str):
        return change(document)
    if isinstance(document, list):
        return [map_texts(child, change) for child in document]
    if isinstance(document, dict):
        return {change(name): map_texts(child, change) for name, child in document.items()}
    return document
