"""A redactor: puts placeholders in the place of secrets, and learns secrets from where it finds them."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from agentflow_kernel.redaction import SHORTEST, secret_variables
from agentflow_kernel.testing.cassette_outcomes import plain

if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing.cassette_rules import CassetteRules

PLACEHOLDER = re.compile(r"<redacted(?::\d+)?>")
_SCHEME = re.compile(r"(?i:bearer|basic|token|digest)\s+(\S.*)", re.DOTALL)


class Redactor:
    """Replaces each secret by ``<redacted:n>``, the same ``n`` for the same secret.

    A value found in a secret field or by a pattern is from then on replaced wherever it stands, so that a password
    that a tool returned does not come back in the text of the next prompt. Redacting twice changes nothing.
    """

    def __init__(self, rules: CassetteRules) -> None:
        self._rules = rules
        self._fields = {_plain(field) for field in rules.fields}
        self._patterns = [re.compile(pattern) for pattern in rules.patterns]
        if rules.fields:
            self._patterns.append(_in_text(rules.fields))
        self._numbers: dict[str, int] = {}
        self._known: dict[str, str] = {}
        """Each form in which a secret may be written → the secret."""
        self._expression: re.Pattern[str] | None = None
        for secret in rules.secrets:
            self._learn(secret)
        self.take_environment()

    def take_environment(self) -> None:
        """Learn the environment variables that hold secrets by their names."""
        for value in sorted(secret_variables()):
            self._learn(value)

    def redact(self, document: JSON) -> JSON:
        """A copy without secrets; what is secret at one place of it is so at all."""
        if self._rules.redact:
            document = plain(document, "a recorded call")  # theirs to change
        for change in self._rules.redact:
            document = change(document)
        known = len(self._known)
        redacted = self._walk(document, secret=False)
        return redacted if len(self._known) == known else self._walk(document, secret=False)

    def redact_pieces(self, pieces: list[str]) -> list[str]:
        """The pieces of a streamed text; those that only together hold a secret become one."""
        whole = self.redact("".join(pieces))
        redacted = [self.redact(piece) for piece in pieces]
        texts = [piece for piece in redacted if isinstance(piece, str)]
        return texts if "".join(texts) == whole else [str(whole)]

    def _walk(self, document: JSON, *, secret: bool) -> JSON:
        if isinstance(document, str):
            return self._hide(document) if secret else self._text(document)
        if isinstance(document, dict):
            return {
                self._text(name): self._walk(child, secret=_plain(name) in self._fields)
                for name, child in document.items()
            }
        if isinstance(document, list):  # a list of passwords is as secret as one; an object has fields of its own
            return [self._walk(child, secret=secret) for child in document]
        if secret and isinstance(document, int | float) and not isinstance(document, bool):
            return self._hide(str(document))
        return document

    def _hide(self, value: str) -> str:
        """The placeholder for the whole value of a secret field."""
        if not value or PLACEHOLDER.fullmatch(value):
            return value
        self._notice(value)
        return self._mark(value)

    def _text(self, text: str) -> str:
        if self._expression is None:
            forms = sorted(map(re.escape, self._known), key=len, reverse=True)
            self._expression = re.compile("|".join([PLACEHOLDER.pattern, *forms]))
        text = self._expression.sub(self._replace_known, text)
        for pattern in self._patterns:
            text = pattern.sub(self._replace_found, text)
        return text

    def _replace_known(self, match: re.Match[str]) -> str:
        secret = self._known.get(match[0])
        return match[0] if secret is None else self._mark(secret)

    def _replace_found(self, match: re.Match[str]) -> str:
        group = "secret" if "secret" in match.re.groupindex else 0
        value = match[group]
        if not value or PLACEHOLDER.search(value):
            return match[0]
        self._notice(value)
        start, end = match.start(group) - match.start(), match.end(group) - match.start()
        return match[0][:start] + self._mark(value) + match[0][end:]

    def _notice(self, value: str) -> None:
        """Look for a found value everywhere from now on, unless it is a word that stands in other texts by right."""
        scheme = _SCHEME.fullmatch(value)
        for secret in (value, scheme[1]) if scheme else (value,):
            is_word = secret.isalpha() and (secret.islower() or secret.isupper() or secret.istitle())
            if len(secret) >= SHORTEST and not is_word and not PLACEHOLDER.search(secret):
                self._learn(secret)

    def _learn(self, secret: str) -> None:
        if not secret or secret in self._known:
            return
        for form in _forms_of(secret):
            self._known.setdefault(form, secret)
        self._expression = None

    def _mark(self, secret: str) -> str:
        return f"<redacted:{self._numbers.setdefault(secret, len(self._numbers) + 1)}>"


def _forms_of(secret: str) -> list[str]:
    """A secret as it stands in texts: bare, in JSON, in JSON within JSON, in a URL, in base64."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = [secret, quote(raw, safe=""), quote(raw)]
    for ascii_only in (True, False):
        form = secret
        for _ in range(3):
            form = json.dumps(form, ensure_ascii=ascii_only)[1:-1]
            forms.append(form)
    return [*forms, base64.b64encode(raw).decode()] if len(secret) >= SHORTEST else forms


def _plain(field: str) -> str:
    return field.lower().replace("_", "").replace("-", "").replace(" ", "")


def _in_text(fields: tuple[str, ...]) -> re.Pattern[str]:
    """A secret field inside a text: ``password=x``, ``"api_key": "x"``, also where the quotes are escaped."""
    names = "|".join(sorted({"[-_ ]?".join(map(re.escape, re.split("[-_ ]", name))) for name in fields}))
    quotes = r"[\\\"']*"
    return re.compile(
        rf"(?i)(?<![A-Za-z0-9])(?:{names}){quotes}\s*[:=]\s*{quotes}(?:(?:bearer|basic|token|digest)\s+)?+"
        r"(?P<secret>[^\s\"'\\,;&{}\[\]<>()]+)"
    )
