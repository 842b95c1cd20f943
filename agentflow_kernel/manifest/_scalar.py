"""A scalar: what an unquoted word of a manifest means. YAML 1.2 with the numbers of JSON, so that nobody is surprised.

``true``, ``false``, ``null``, ``~`` and nothing at all are what they say (also as ``True`` and ``TRUE``). What JSON
would read as a number is one. Everything else is text: ``no``, ``on``, ``1_000``, ``0o7``, ``007``, ``2026-11-21``.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON

_WORDS: dict[str, JSON] = {"": None, "~": None}
for _word, _meaning in (("null", None), ("true", True), ("false", False)):
    _WORDS.update({_word: _meaning, _word.title(): _meaning, _word.upper(): _meaning})

_ODD = (".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN")
_NO_NUMBER = frozenset(sign + word for sign in ("", "+", "-") for word in _ODD)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 400

SUSPICIOUS = frozenset(["", *"~+-.0123456789nNtTfF"])
"""First characters (``""`` for an empty scalar) of what may be anything but text; the rest need not be resolved."""


def resolve(text: str) -> JSON:
    """What an unquoted scalar stands for.

    Raises:
        ValueError: a number that JSON does not have (not a number, infinite, too large, too long).
    """
    if text in _WORDS:
        return _WORDS[text]
    if text in _NO_NUMBER:
        raise ValueError("JSON has no such number")
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of more than {_LONGEST_NUMBER} characters")
    if number[1] is None and number[2] is None:
        return int(text)
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError("a number too large for a 64-bit float")
    return value
