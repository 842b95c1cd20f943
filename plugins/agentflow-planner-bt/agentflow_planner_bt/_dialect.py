"""A dialect: the scripts of BehaviorTree.CPP, read and written as scripts of the project's own language.

The two look alike. Where they differ, what was meant is spelled out: BehaviorTree.CPP takes numbers for booleans and
texts for numbers, joins with ``..``, chains comparisons, writes numbers in hexadecimal and needs no ``;`` between
statements. Its bitwise operators have no counterpart and are refused.
"""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(
    r"\s+|(?P<hex>0[xX][0-9a-fA-F]+)|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_@][A-Za-z0-9_]*)"
    r"|(?P<text>'[^']*'|\"(?:[^\"\\]|\\.)*\")|(?P<sign>:=|\+=|-=|\*=|/=|==|!=|<=|>=|&&|\|\||\.\.|[-+*/<>=!?:();&|^~])"
)
_POWERS = {
    "?": 4,
    "||": 6,
    "&&": 8,
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), 10),
    "..": 16,
    "+": 16,
    "-": 16,
    "*": 18,
    "/": 18,
}
_ASSIGN = (":=", "=", "+=", "-=", "*=", "/=")
_COMPARE = ("==", "!=", "<", ">", "<=", ">=")
_BITWISE = ("&", "|", "^", "~")
_RESERVED = frozenset(("and", "or", "not", "in", "null", "True", "False", "None", "if", "else"))
_DEEPEST = 100
_CLOSED = frozenset(("()", "!x", "&&", "||", "?", "..", "name", "number", "text", "boolean"))
"""Parts that need no parentheses of their own when they are written."""

Part = tuple[Any, ...]
"""``("number", text)``, ``("text", text)``, ``("name", text)``, ``("boolean", text)``, ``(sign, part, ...)``."""


class NotAScript(ValueError):
    """A text that is no script of BehaviorTree.CPP, or none that can be said in the project's language."""


def condition(text: str) -> str:
    """A condition of BehaviorTree.CPP as one of ours.

    Raises:
        NotAScript: it cannot be read or said.
    """
    reader = _Reader(text)
    part = reader.expression(0)
    if reader.accept(";") and not reader.ends():
        raise NotAScript(f"{text!r}: a condition is one expression")
    if not reader.ends():
        raise reader.unexpected("an operator or the end")
    return _truth(part)


def script(text: str) -> str:
    """A script of BehaviorTree.CPP as one of ours.

    Raises:
        NotAScript: it cannot be read or said, or a statement is no assignment.
    """
    reader = _Reader(text)
    statements = []
    while not reader.ends():
        kind, name = reader.next()
        sign = reader.next()[1]
        if kind != "name" or sign not in _ASSIGN:
            raise NotAScript(f"{text!r}: every statement assigns to a name, as in 'x := 1'")
        statements.append(f"{_name(name)} {sign} {_written(reader.expression(0))}")
        while reader.accept(";"):
            pass
    if not statements:
        raise NotAScript("an empty script")
    return "; ".join(statements)


def statements_and_condition(text: str) -> tuple[str, str]:
    """A condition of BehaviorTree.CPP that makes assignments first, as a script, which may be empty, and a condition.

    Raises:
        NotAScript: it cannot be read or said.
    """
    reader = _Reader(text)
    first = 0
    while (found := reader.assignment()) is not None:
        first = found
    if not first:
        return "", condition(text)
    return script(text[:first]), condition(text[first:])


class _Reader:
    """The tokens of a text, read by the binding powers of their operators."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        self.places: list[int] = []
        self.at = self.depth = place = 0
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise NotAScript(f"{text!r}: character {place + 1}, {text[place]!r}, begins nothing known")
            place = found.end()
            if found.lastgroup is not None:
                self.tokens.append((found.lastgroup, found[0]))
                self.places.append(found.start())
                sticks = re.match(r"[A-Za-z_]|\.(?!\.)", text[place : place + 2])
                if found.lastgroup in {"hex", "number"} and sticks:
                    raise NotAScript(f"{text!r}: {found[0] + text[place]!r} is no number")

    def assignment(self) -> int | None:
        """Where the text goes on after the assignment that stands here; None where none does."""
        kinds = [kind for kind, _ in self.tokens[self.at : self.at + 2]]
        if kinds != ["name", "sign"] or self.tokens[self.at + 1][1] not in _ASSIGN:
            return None
        self.at += 2
        self.expression(0)
        while self.accept(";"):
            pass
        return self.places[self.at] if not self.ends() else len(self.text)

    def ends(self) -> bool:
        return self.at >= len(self.tokens)

    def peek(self) -> str:
        kind, text = self.tokens[self.at] if not self.ends() else ("end", "")
        return text if kind == "sign" else ""

    def next(self) -> tuple[str, str]:
        if self.ends():
            raise self.unexpected("more")
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, sign: str) -> bool:
        if self.peek() != sign:
            return False
        self.at += 1
        return True

    def unexpected(self, wanted: str) -> NotAScript:
        found = repr(self.tokens[self.at][1]) if not self.ends() else "the end"
        hint = "; there are no bitwise operators" if self.peek() in _BITWISE else ""
        return NotAScript(f"{self.text!r}: found {found}, expected {wanted}{hint}")

    def expression(self, power: int) -> Part:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise NotAScript("an expression nested too deeply")
        left = self._operand()
        while (found := _POWERS.get(self.peek(), -1)) >= power:
            sign = self.next()[1]
            if sign == "?":
                chosen = self.expression(0)
                if not self.accept(":"):
                    raise self.unexpected("':'")
                left = ("?", left, chosen, self.expression(found))
            elif sign in _COMPARE and left[0] == "chain":
                left = (*left, sign, self.expression(found + 1))
            elif sign in _COMPARE:
                left = ("chain", left, sign, self.expression(found + 1))
            else:
                left = (sign, left, self.expression(found + 1))
        self.depth -= 1
        return left

    def _operand(self) -> Part:
        if self.ends():
            raise self.unexpected("a value")
        kind, text = self.next()
        if kind == "name":
            return ("boolean" if text in {"true", "false"} else "name", text)
        if kind == "hex":
            return ("number", str(int(text, 16)))
        if kind in {"number", "text"}:
            return (kind, text)
        if text == "(":
            inner = self.expression(0)
            if not self.accept(")"):
                raise self.unexpected("')'")
            return inner if inner[0] in _CLOSED else ("()", inner)
        if text in {"!", "-"}:
            return (f"{text}x", self.expression(20))
        self.at -= 1
        raise self.unexpected("a value")


def _written(part: Part) -> str:
    """A value in our language."""
    kind = part[0]
    if kind == "name":
        return _name(part[1])
    if kind in {"number", "text", "boolean"}:
        return str(part[1])
    if kind == "()":
        return f"({_written(part[1])})"
    if kind == "!x":
        return f"(not {_truth(part[1])})"
    if kind == "-x":
        return f"-{_written(part[1])}"
    if kind == "?":
        return f"({_truth(part[1])} ? {_written(part[2])} : {_written(part[3])})"
    if kind in {"&&", "||"}:
        return f"({_truth(part[1])} {'and' if kind == '&&' else 'or'} {_truth(part[2])})"
    if kind == "..":
        return f"(str({_written(part[1])}) + str({_written(part[2])}))"
    if kind == "chain":
        pairs = zip(part[1:-2:2], part[2::2], part[3::2], strict=True)
        compared = [_compared(left, sign, right) for left, sign, right in pairs]
        return compared[0] if len(compared) == 1 else f"({' and '.join(compared)})"
    return f"{_written(part[1])} {kind} {_written(part[2])}"


def _compared(left: Part, sign: str, right: Part) -> str:
    """A comparison; with a literal number it also means the text and the boolean that stand for it, and vice versa."""
    if sign in {"==", "!="}:
        for one, other in ((left, right), (right, left)):
            like = _like(one)
            if len(like) > 1 and _like(other) == []:
                return f"({_written(other)} {'in' if sign == '==' else 'not in'} [{', '.join(like)}])"
    return f"{_written(left)} {sign} {_written(right)}"


def _like(part: Part) -> list[str]:
    """All that a literal equals; nothing for what is no literal."""
    kind, text = part[0], part[1]
    if kind == "()":
        return _like(text)
    if kind == "-x" and text[0] == "number":
        return [f"-{text[1]}", f"'-{text[1]}'"]
    if kind == "boolean":
        return [text, "1" if text == "true" else "0"]
    if kind == "number":
        return [text, f"'{text}'", *({"1": ["true"], "0": ["false"]}.get(text, []))]
    if kind == "text":
        inner = text[1:-1]
        return [text, inner] if re.fullmatch(r"-?\d{1,18}(\.\d+)?", inner) and not re.match(r"-?0\d", inner) else [text]
    return []


def _truth(part: Part) -> str:
    """A condition in our language, which takes nothing but booleans for one."""
    kind = part[0]
    if kind == "()":
        return f"({_truth(part[1])})"
    if kind in {"!x", "&&", "||", "chain", "boolean"}:
        return _written(part)
    if kind == "number":
        return "false" if float(part[1]) == 0 else "true"
    if kind == "?":
        return f"({_truth(part[1])} ? {_truth(part[2])} : {_truth(part[3])})"
    return f"({_written(part)} not in [false, 0, 'false'])"


def _name(name: str) -> str:
    return f'$["{name}"]' if name in _RESERVED else name


_WORDS = {"and": "&&", "or": "||"}
_TRUTHS = re.compile(r"\(([^()\[\]]+) not in \[false, 0, 'false'\]\)")
_EQUALS = re.compile(r"\(([^()\[\]]+?) (not )?in \[([^\[\],]+), ([^\[\]]+)\]\)")


def exported(text: str) -> str:
    """A condition or script of ours as BehaviorTree.CPP reads it.

    Raises:
        NotAScript: it uses what BehaviorTree.CPP does not have: ``not``, ``in``, functions, lists, paths.
    """
    text = _TRUTHS.sub(r"\1", text)
    text = _negated(_EQUALS.sub(_equality, text))
    pieces = []
    for piece in re.split(r"('[^']*'|\"[^\"]*\")", text):
        if piece[:1] in {"'", '"'}:
            pieces.append(f"'{piece[1:-1]}'")
            continue
        pieces.append(re.sub(r"\b(and|or)\b", lambda found: _WORDS[found[0]], piece))
    written = "".join(pieces)
    bare = re.sub(r"'[^']*'", "''", written)
    if re.search(r"\bnot\b|\bin\b|[\[\]{}$%]|//|[A-Za-z_]\s*\(|[A-Za-z_]\.", bare):
        raise NotAScript(f"{text!r} says what scripts of BehaviorTree.CPP cannot")
    (script if re.search(r":=|[^=!<>]=[^=]", bare) else condition)(written)
    return written


def _equality(found: re.Match[str]) -> str:
    """Back to ``==``, where the list holds just what the first of its items equals in BehaviorTree.CPP."""
    literal, rest = found[3], found[4].split(", ")
    kind = "text" if literal[:1] == "'" else "boolean" if literal in {"true", "false"} else "number"
    if [literal, *rest] != _like((kind, literal)):
        return found[0]
    return f"{found[1]} {'!=' if found[2] else '=='} {literal}"


def _negated(text: str) -> str:
    """``(not …)``, as it is written when it was read from there, back to ``!(…)``."""
    while (start := text.find("(not ")) >= 0:
        depth, end = 0, start
        for end in range(start, len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 0:
                break
        text = f"{text[:start]}!({text[start + 5 : end]}){text[end + 1 :]}"
    return text
