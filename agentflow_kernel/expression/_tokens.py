"""A token: the smallest piece of an expression, with the place where it stands.

The scanner walks over the characters by hand: ``re`` would cost a program that has one short guard more than the whole
language does. Outside of quotes only ASCII is accepted, so no letter can look like another one.
"""

from __future__ import annotations

from agentflow_kernel.errors import ExpressionInvalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    Token = tuple[str, str | int | float, int, int]
    """Kind, value, first character, character after the last. The kind of an operator or keyword is its text."""

LARGEST = 2**63 - 1
"""The largest whole number, and with a minus the smallest."""

KEYWORDS = frozenset(("and", "or", "not", "in", "true", "false", "null"))

_DIGITS = "0123456789"
_START = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_WORD = _START + _DIGITS
_MASK = bytes(code if chr(code) in _WORD else 32 for code in range(256))
_ONE = "+-*/%<>()[]{},:?.;=!$"
_TWO = frozenset(("==", "!=", "<=", ">=", "&&", "||", "//", ":=", "+=", "-=", "*=", "/="))
_ESCAPES = {'"': '"', "'": "'", "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def scan(text: str) -> list[Token]:
    """The tokens of a text, closed by one of kind ``end``.

    Raises:
        ExpressionInvalid: a character that begins no token, or a malformed number or text.
    """
    tokens: list[Token] = []
    add = tokens.append
    at, length = 0, len(text)
    ends = (text + " ").encode("ascii", "replace").translate(_MASK).find  # one byte a character, " " between words
    while at < length:
        char = text[at]
        if char in " \t\r\n":
            at += 1
            continue
        start = at
        at += 1
        if char in _START or (char == "@" and text[at : at + 1] in _START and at < length):
            at = ends(b" ", at)
            word = text[start:at]
            add((word if word in KEYWORDS else "name", word, start, at))
        elif char in _DIGITS:
            value, at = _number(text, start)
            add(("number", value, start, at))
        elif char in "'\"":
            content, at = _text(text, start)
            add(("text", content, start, at))
        elif text[start : start + 2] in _TWO:
            at += 1
            add((text[start:at], text[start:at], start, at))
        elif char in _ONE:
            add((char, char, start, at))
        else:
            raise ExpressionInvalid(text, start, character(char), "a value, a name or an operator")
    add(("end", "", length, length))
    return tokens


def character(char: str) -> str:
    """A character in a message: as it is when it is plain, by its number when it may look like another one."""
    return repr(char) if char.isascii() and char.isprintable() else f"the character U+{ord(char):04X}"


def _number(text: str, start: int) -> tuple[int | float, int]:
    """A number as in JSON, but without its sign, and where it ends."""
    at = _digits(text, start)
    whole = True
    if text[start] == "0" and at > start + 1:
        raise ExpressionInvalid(text, start, repr(text[start:at][:30]), "a number without leading zeros")
    if text[at : at + 1] == "." and (end := _digits(text, at + 1)) > at + 1:
        at, whole = end, False
    if text[at : at + 1] in ("e", "E"):
        sign = at + 2 if text[at + 1 : at + 2] in ("+", "-") else at + 1
        if (end := _digits(text, sign)) > sign:
            at, whole = end, False
    if at < len(text) and (text[at] in _WORD or text[at] == "."):
        raise ExpressionInvalid(text, at, character(text[at]), "the rest of a number such as 10, 1.5 or 2e3")
    digits = text[start:at]
    value: int | float = float(digits) if not whole else int(digits) if len(digits) < 20 else LARGEST + 1
    if value > LARGEST if whole else value - value != 0:
        expected = f"a whole number up to {LARGEST}" if whole else "a number below 1.8e308"
        raise ExpressionInvalid(text, start, repr(digits if len(digits) <= 30 else digits[:29] + "…"), expected)
    return value, at


def _digits(text: str, at: int) -> int:
    """Where the digits that begin here end."""
    while at < len(text) and text[at] in _DIGITS:
        at += 1
    return at


def _text(text: str, start: int) -> tuple[str, int]:
    """A text in single or double quotes without them, and where it ends."""
    quote = text[start]
    end = text.find(quote, start + 1)
    plain = text[start + 1 : end]
    if end > 0 and plain.isascii() and plain.isprintable() and "\\" not in plain:
        return plain, end + 1
    pieces: list[str] = []
    at = start + 1
    while True:
        char = text[at : at + 1]
        if char == quote:
            return "".join(pieces), at + 1
        if not char:
            raise ExpressionInvalid(text, len(text), "the end", f"{quote} to close the text of character {start + 1}")
        if char < " " or "\ud800" <= char <= "\udfff":
            raise ExpressionInvalid(text, at, character(char), f"an escape such as \\n or \\u{ord(char):04x}")
        if char == "\\":
            char, at = _escape(text, at)
        else:
            at += 1
        pieces.append(char)


def _escape(text: str, at: int) -> tuple[str, int]:
    """The character that the escape at this place stands for, and where it ends."""
    letter = text[at + 1 : at + 2]
    if letter != "u":
        if letter not in _ESCAPES:
            found = character(letter) if letter else "the end"
            raise ExpressionInvalid(
                text, at + 1, found, "an escape: \\\" \\' \\\\ \\/ \\b \\f \\n \\r \\t or \\u with 4 digits"
            )
        return _ESCAPES[letter], at + 2
    code = _code_unit(text, at)
    if 0xD800 <= code <= 0xDBFF and text[at + 6 : at + 8] == "\\u":
        low = _code_unit(text, at + 6)
        if 0xDC00 <= low <= 0xDFFF:
            return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), at + 12
    if 0xD800 <= code <= 0xDFFF:
        raise ExpressionInvalid(text, at, repr(text[at : at + 6]), "both halves of a surrogate pair, high and low")
    return chr(code), at + 6


def _code_unit(text: str, at: int) -> int:
    digits = text[at + 2 : at + 6]
    if len(digits) != 4 or not all(char in "0123456789abcdefABCDEF" for char in digits):
        raise ExpressionInvalid(text, at, repr(text[at : at + 6]), "four hexadecimal digits after \\u")
    return int(digits, 16)
