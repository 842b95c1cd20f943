"""A foreign word: what only ECMAScript has in an expression or script, by its name, with what to write instead.

Not all of its words are here: charts that test what becomes of an expression that makes no sense are written with
``return``, and read as a name that is not there.
"""

from __future__ import annotations

import re

_NAMING = "write 'name := value'"
_NO_FUNCTIONS = "there are no functions of one's own"
_NO_BITS = "there are no operators on bits"
_INSTEAD = {
    "===": "write '=='",
    "!==": "write '!='",
    "undefined": "write 'has(name)' to ask whether there is a value, or 'null'",
    "NaN": "numbers are those of JSON",
    "typeof": "write 'has(name)' to ask whether there is a value",
    ".length": "write 'len(…)'",
    "++": "write 'name += 1'",
    "--": "write 'name -= 1'",
    "**": "multiply",
    "=>": _NO_FUNCTIONS,
    "function": _NO_FUNCTIONS,
    "var": _NAMING,
    "let": _NAMING,
    "const": _NAMING,
    "delete": "set it to null",
    "new": "write a value, such as [] or {}",
    "this": "write the name of the variable",
    "instanceof": "there are no classes",
    "|": _NO_BITS,
    "&": _NO_BITS,
    "^": _NO_BITS,
    "~": _NO_BITS,
    "<<": _NO_BITS,
    ">>": _NO_BITS,
}
_METHOD = "there are no methods: write a function such as contains(…), lower(…) or max(…)"
_WORDS = re.compile(
    r"""
    "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*'  # texts may hold anything
    | (?P<word> === | !== | => | \*\* | << | >> | \+\+ | -- (?= \s* (?: [;)] | $ ))
      | (?<!\|) \| (?!\|) | (?<!&) & (?!&) | [\^~]
      | (?<![\w.]) (?: undefined | NaN | typeof | var | let | const | function | new | this | delete
                     | instanceof ) \b
      | \. length \b )
    | (?P<method> \. [A-Za-z_]\w* ) \s* \(
    """,
    re.VERBOSE | re.DOTALL,
)


def foreign_words(text: str) -> dict[str, str]:
    """What only ECMAScript has in a text, outside of quotes, each once and in order, and what to write instead."""
    found: dict[str, str] = {}
    for match in _WORDS.finditer(text):
        word, method = match["word"], match["method"]
        if word:
            found[word] = _INSTEAD[word]
        elif method:
            found[f"{method[:40]}()"] = _METHOD
    return found
