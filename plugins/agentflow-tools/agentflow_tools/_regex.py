r"""A regular expression as a tree: the part of Python's syntax that can be found in linear time.

Characters, ``.``, classes, ``\d \D \w \W \s \S``, ``^ $ \A \Z \b \B``, groups, ``|`` and ``* + ? {m,n}``. References
to groups and looking ahead or behind need backtracking, whose time can grow exponentially with the line: refused.
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from agentflow_tools._chars import CharSet

MAX_REPEAT = 1_000
MAX_DEPTH = 40

_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ASSERTIONS = {"^": "start", "$": "end", "A": "start", "Z": "end", "b": "boundary", "B": "inside"}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}


class RegexInvalid(Exception):
    """The text is no regular expression, or one that is not taken here."""


class Literal(NamedTuple):
    """Exactly this character."""

    char: str


class OneOf(NamedTuple):
    """One character of a set."""

    chars: CharSet


class Assertion(NamedTuple):
    """No character, but a place: `start`, `end`, a word's `boundary`, or `inside` (no boundary)."""

    kind: str


class Sequence(NamedTuple):
    """One after another; none is the empty text."""

    parts: tuple[Tree, ...]


class Choice(NamedTuple):
    """Any one of these."""

    parts: tuple[Tree, ...]


class Repeat(NamedTuple):
    """The same at least `low` and at most `high` times; `None` is without end."""

    part: Tree
    low: int
    high: int | None


Tree = Literal | OneOf | Assertion | Sequence | Choice | Repeat


def sequence(parts: list[Literal]) -> Tree:
    """The tree of a plain text."""
    return Sequence(tuple(parts))


def parse_regex(text: str) -> Tree:
    """The tree of a regular expression. Raises :class:`RegexInvalid` with the place, counted from 1."""
    return _Parser(text).parse()


def required_text(tree: Tree) -> str:
    """The longest text found that every match holds; empty if there is none."""
    match tree:
        case Literal(char):
            return char
        case Repeat(part, low, _):
            return required_text(part) if low else ""
        case Sequence(parts):
            found, run = [""], ""
            for part in parts:
                if isinstance(part, Literal):
                    run += part.char
                else:
                    found += [run, required_text(part)]
                    run = ""
            return max([*found, run], key=len)
    return ""


class _Parser:
    """Reads a regular expression from left to right, once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> Tree:
        tree = self._choice()
        if self._at < len(self._text):
            self._fail("')' closes nothing")
        return tree

    def _fail(self, problem: str) -> NoReturn:
        raise RegexInvalid(f"{problem} (character {self._at + 1})")

    def _take(self, expected: str) -> bool:
        found = self._text.startswith(expected, self._at)
        if found:
            self._at += len(expected)
        return found

    def _next(self) -> str:
        if self._at == len(self._text):
            self._fail("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _choice(self) -> Tree:
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Tree:
        parts: list[Tree] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _atom(self) -> Tree:
        char = self._next()
        match char:
            case "(":
                return self._group()
            case "[":
                return OneOf(self._char_class())
            case ".":
                return OneOf(CharSet((("\n", "\n"),), negated=True))
            case "^" | "$":
                return Assertion(_ASSERTIONS[char])
            case "*" | "+" | "?":
                self._at -= 1
                self._fail(f"{char!r} has nothing to repeat")
            case "\\":
                return self._escape()
        return Literal(char)

    def _group(self) -> Tree:
        if self._take("?"):
            if self._take("P<"):
                while self._next() != ">":
                    pass
            elif not self._take(":"):
                self._fail("of the groups that begin with '(?' only '(?:' and '(?P<name>' are taken")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"groups are nested deeper than {MAX_DEPTH}")
        tree = self._choice()
        self._depth -= 1
        if not self._take(")"):
            self._fail("a group is not closed")
        return Sequence((tree,))

    def _repeated(self, part: Tree) -> Tree:
        bounds = self._bounds()
        if bounds is None:
            return part
        if isinstance(part, Assertion):
            self._fail("a place such as '^' cannot be repeated")
        self._take("?")  # as few as possible: which of several matches is found first does not count here
        if self._text.startswith(("*", "+", "?"), self._at) or self._bounds() is not None:
            self._fail("a repetition cannot be repeated; put it into a group")
        return Repeat(part, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        """The bounds of a repetition that stands here; as in Python, a brace that gives none is a character."""
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : max(end, 0)].partition(",")
        numbers = all(not number or (number.isascii() and number.isdigit()) for number in (low, high))
        if not self._text.startswith("{", self._at) or end < 0 or not numbers or not (low or comma):
            return None
        least, most = int(low[:9] or 0), int(high[:9]) if high else None
        most = most if comma else least
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            self._fail(f"a repetition goes from the smaller to the larger number, at most {MAX_REPEAT}")
        self._at = end + 1
        return least, most

    def _escape(self) -> Tree:
        char = self._next()
        if char in "dDwWsS":
            return OneOf(CharSet(categories=(char,)))
        if char in _ASSERTIONS and char.isalpha():
            return Assertion(_ASSERTIONS[char])
        return Literal(self._escaped_char(char))

    def _escaped_char(self, char: str) -> str:
        if char in _CONTROL:
            return _CONTROL[char]
        if char in _HEX_DIGITS:
            digits = self._text[self._at : self._at + _HEX_DIGITS[char]]
            self._at += len(digits)
            try:
                return chr(int(digits, 16)) if len(digits) == _HEX_DIGITS[char] and digits.isalnum() else self._bad()
            except (ValueError, OverflowError):
                self._bad()
        if char.isdecimal():
            self._fail("references to groups are not taken; write a NUL as '\\x00'")
        if char.isascii() and char.isalpha():
            self._fail(f"'\\{char}' is not known")
        return char

    def _bad(self) -> NoReturn:
        self._fail("a character's number is wrong")

    def _char_class(self) -> CharSet:
        negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        categories: list[str] = []
        first = True
        while first or not self._take("]"):
            low = self._class_char(categories)
            first = False
            if low is None:
                continue
            high = low
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                high = self._class_char(categories) or ""
                if high < low:
                    self._fail("a range of characters goes from the lower to the higher one")
            ranges.append((low, high))
        return CharSet(tuple(ranges), tuple(categories), negated=negated)

    def _class_char(self, categories: list[str]) -> str | None:
        """The next character of a class; `None` where a category stood, which is added to `categories`."""
        char = self._next()
        if char != "\\":
            return char
        char = self._next()
        if char in "dDwWsS":
            categories.append(char)
            return None
        return "\b" if char == "b" else self._escaped_char(char)
