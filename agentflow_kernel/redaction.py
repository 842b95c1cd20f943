"""Redaction: what is secret in a log, by the name of its field, by its value, or by its form."""

from __future__ import annotations

import json
import os
import re
from urllib.parse import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

PLACEHOLDER = "<redacted>"
SHORTEST = 6
"""Characters from which on the value of a variable is looked for everywhere: shorter ones stand in too many words."""
DEPTH_LIMIT = 12
"""So deep values are looked through; what lies deeper is shown as text."""

_VARIABLES = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
_SECRET_WORDS = frozenset((
    "apikey", "authorization", "cookie", "cookies", "credential", "credentials", "passphrase", "passwd", "password",
    "passwords", "pwd", "secret", "secrets", "token",
))  # fmt: skip
"""Last words of the names of secret fields; ``max_tokens`` and ``token_count`` are none of them."""
_SECRET_KEYS = frozenset((
    "access", "account", "api", "auth", "client", "encryption", "host", "master", "private", "secret", "service",
    "session", "signing", "ssh", "subscription",
))  # fmt: skip
"""Words before ``key`` that make it secret; a partition key or an idempotency key is none."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
PATTERNS = (
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    r"(?i:\bbearer\s+)(?P<secret>[\w.~+/=:-]{6,})",
    r"(?i:\bbasic\s+)(?P<secret>(?=[A-Za-z+/]*[0-9=])[\w+/-]{8,}={0,2})",
    r"\bsk-[\w-]{8,}",
    r"\b(?:sk|rk|pk)_(?:live|test)_\w{8,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}",
    r"\b(?:gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|AIza|hf_|npm_)[\w-]{10,}",
    r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",
    r"\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s/:@?#]{0,256}:(?P<secret>[^\s/?#]+)(?=@)",
    (
        r"(?i)(?<![A-Za-z0-9])(?:[a-z0-9]{1,20}[_-]){0,3}(?:api[_-]?key|access[_-]?key|private[_-]?key|secret[_-]?key|"
        r"account[_-]?key|authorization|passphrase|password|passwd|pwd|secret|token|credentials?|(?:set-)?cookie)"
        r"[\\\"']{0,3}\s{0,3}[:=]\s{0,3}[\\\"']{0,3}(?:(?:bearer|basic|token|digest)\s{1,3})?"
        r"(?P<secret>[^\s\"'\\,;&{}\[\]<>()]{6,})"
    ),
)
"""What is secret by its form; where a pattern has a group ``secret``, only that is replaced."""

_EXPRESSIONS = tuple(map(re.compile, PATTERNS))


class Redactor:
    """Puts a placeholder in the place of secrets; ``hidden`` are values that are secret wherever they stand."""

    __slots__ = ("_known", "_values")

    def __init__(self, hidden: Iterable[str] = ()) -> None:
        self._values = frozenset(hidden)
        forms = {form for value in self._values for form in _forms(value)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def knows(self, hidden: Iterable[str]) -> bool:
        """Whether it was made for these values."""
        return self._values == frozenset(hidden)

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(PLACEHOLDER, text)
        for expression in _EXPRESSIONS:
            text = expression.sub(_replace, text)
        return text

    def fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """A copy of the fields without secrets."""
        return {self.text(str(name)): self.field(str(name), value) for name, value in fields.items()}

    def field(self, name: str, value: Any, depth: int = 0) -> Any:
        """The value of one field without secrets."""
        if is_secret(name) and value is not None and not isinstance(value, bool):
            return PLACEHOLDER
        return self.value(value, depth)

    def value(self, value: Any, depth: int = 0) -> Any:
        """A value without secrets: JSON stays JSON; an object whose text holds none stays itself."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth < DEPTH_LIMIT:
            if isinstance(value, dict):
                return {self.text(str(key)): self.field(str(key), child, depth + 1) for key, child in value.items()}
            if isinstance(value, list | tuple | set | frozenset):
                return [self.value(child, depth + 1) for child in value]
        return self._object(value)

    def _object(self, value: object) -> object:
        try:
            texts = (repr(value), str(value))
        except Exception as error:  # noqa: BLE001 -- a log must not fail because of what it is given
            return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
        return value if all(self.text(text) == text for text in texts) else self.text(texts[0])


def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret: ``api_key``, ``X-Api-Key``, ``accessToken``; not ``max_tokens``."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words:
        return False
    return words[-1] in _SECRET_WORDS or (words[-1] == "key" and len(words) > 1 and words[-2] in _SECRET_KEYS)


def secret_variables() -> set[str]:
    """The values of environment variables that are secret by their names, at this moment."""
    found = (value for name, value in os.environ.items() if name.upper().endswith(_VARIABLES))
    return {value for value in found if len(value) >= SHORTEST}


def _forms(value: str) -> tuple[str, ...]:
    """How a value may be written: as it is, in a Python or JSON string, in a URL."""
    raw = value.encode("utf-8", "surrogatepass")
    return (
        value,
        repr(value)[1:-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        quote(raw, safe=""),
    )


def _replace(match: re.Match[str]) -> str:
    if "secret" not in match.re.groupindex:
        return PLACEHOLDER
    start, end = match.start("secret") - match.start(), match.end("secret") - match.start()
    return match[0][:start] + PLACEHOLDER + match[0][end:]
