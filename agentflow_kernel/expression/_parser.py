"""A parser: it reads the tokens of an expression by the binding powers of their operators and compiles as it goes.

Source: V. Pratt, "Top Down Operator Precedence", 1973. Chains of one level (``a + b - c``, ``a or b or c``,
``c ? x : d ? y : z``) become one part, so the depth that is counted is that of real nesting; it bounds the recursion
of reading as well as that of evaluating.
"""

from __future__ import annotations

from agentflow_kernel.errors import ExpressionInvalid
from agentflow_kernel.expression import _operators as operators
from agentflow_kernel.expression._functions import FUNCTIONS, call, predicate
from agentflow_kernel.expression._paths import MISSING, finder, follower, reader
from agentflow_kernel.expression._place import Part, Place, constant
from agentflow_kernel.expression._tokens import KEYWORDS, scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from agentflow_kernel.expression._paths import Steps
    from agentflow_kernel.expression._place import Work
    from agentflow_kernel.expression._tokens import Token

DEEPEST = 64

_CHOICE, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN = range(8)
_POWERS = {
    "?": _CHOICE,
    **dict.fromkeys(("or", "||"), _OR),
    **dict.fromkeys(("and", "&&"), _AND),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not"), _COMPARE),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "//", "%"), _PRODUCT),
}
_INSTEAD = {
    "True": "'true'",
    "False": "'false'",
    "None": "'null'",
    "if": "a value; a choice is written 'condition ? one : other'",
    "else": "a value; a choice is written 'condition ? one : other'",
    "=": "an operator or the end; equality is written '=='",
    "!": "an operator or the end; inequality is written '!='",
    ":=": "an operator or the end; only scripts assign",
}
"""What to write in place of words and signs of other languages."""


class Parser:
    """Reads one text from its first token to its last.

    ``paths`` collects the static data paths in the order of the text: a name, then keys and indexes up to the first
    that only evaluation knows. Paths that begin with one of ``assigned`` do not count.
    """

    def __init__(self, text: str, predicates: Collection[str] = ()) -> None:
        self.text = text
        self.tokens = scan(text)
        self.at = 0
        self.depth = 0
        self.predicates = predicates
        self.paths: dict[tuple[str | int, ...], None] = {}
        self.assigned: set[str] = set()

    def whole(self) -> Part:
        """The only expression of the text."""
        part = self.expression()
        self.end()
        return part

    def end(self) -> None:
        """Raise unless all tokens have been read."""
        if self.tokens[self.at][0] != "end":
            raise self.unexpected("an operator or the end")

    def unexpected(self, expected: str) -> ExpressionInvalid:
        """The error that says what stands here in place of what was expected."""
        kind, value, start, end = self.tokens[self.at]
        word = str(value)
        if kind in ("name", "=", "!", ":=") and word in _INSTEAD:
            expected = _INSTEAD[word]
        raw = self.text[start : min(end, start + 30)]
        found = "the end" if kind == "end" else f"the text {raw}" if kind == "text" else repr(raw)
        return ExpressionInvalid(self.text, start, found, expected)

    def accept(self, kind: str) -> bool:
        """Whether the next token is of this kind; if so it is read."""
        if self.tokens[self.at][0] != kind:
            return False
        self.at += 1
        return True

    def expect(self, kind: str, expected: str) -> Token:
        """The next token, which must be of this kind."""
        token = self.tokens[self.at]
        if token[0] != kind:
            raise self.unexpected(expected)
        self.at += 1
        return token

    def expression(self, power: int = _CHOICE) -> Part:
        """An expression whose operators bind at least this strongly."""
        self.depth += 1
        if self.depth > DEEPEST:
            found = f"an expression nested more than {DEEPEST} deep"
            raise ExpressionInvalid(self.text, self.tokens[self.at][2], found, "a flatter one")
        left = self._operand(power)
        while (found_power := _POWERS.get(self.tokens[self.at][0], -1)) >= power:
            left = self._operation(left, found_power)
        self.depth -= 1
        return left

    # -- operators

    def _operation(self, left: Part, power: int) -> Part:
        if power == _COMPARE:
            return self._comparison(left)
        if power >= _SUM:
            return self._arithmetic(left, power)
        if power == _CHOICE:
            return self._choice(left)
        parts = [left]
        while _POWERS.get(self.tokens[self.at][0]) == power:
            self.at += 1
            parts.append(self.expression(power + 1))
        run = operators.either(parts) if power == _OR else operators.both(parts)
        return Part(run, self._span(left, parts[-1]))

    def _comparison(self, left: Part) -> Part:
        sign = self.tokens[self.at][0]
        self.at += 1
        wanted = sign != "not"
        if not wanted:
            self.expect("in", "'in' after 'not'")
        right = self.expression(_SUM)
        if _POWERS.get(self.tokens[self.at][0]) == _COMPARE:
            raise self.unexpected("'and', 'or' or the end; comparisons are not chained, write a < b and b < c")
        place = self._span(left, right)
        if sign in ("==", "!="):
            return Part(operators.equality(left, right, place, wanted=sign == "=="), place)
        if sign in ("in", "not"):
            return Part(operators.membership(left, right, place, wanted=wanted), place)
        return Part(operators.order(sign, left, right, place), place)

    def _arithmetic(self, left: Part, power: int) -> Part:
        rest: list[tuple[str, Part, Place]] = []
        while _POWERS.get(sign := self.tokens[self.at][0]) == power:
            self.at += 1
            part = self.expression(power + 1)
            rest.append((sign, part, self._span(left, part)))
        return Part(operators.arithmetic(left, rest), rest[-1][2])

    def _choice(self, condition: Part) -> Part:
        cases: list[tuple[Part, Part]] = []
        otherwise = condition
        while self.accept("?"):
            part = self.expression()
            self.expect(":", "':' and what is given otherwise")
            cases.append((otherwise, part))
            otherwise = self.expression(_OR)
        return Part(operators.choice(cases, otherwise), self._span(condition, otherwise))

    def _span(self, first: Part, last: Part) -> Place:
        return Place(self.text, first.place.start, self.tokens[self.at - 1][3])

    # -- operands

    def _operand(self, power: int) -> Part:
        kind, value, start, end = self.tokens[self.at]
        if kind in ("name", "$"):
            if kind == "name" and self.tokens[self.at + 1][0] == "(":
                return self._follow(self._call(str(value), start))
            return self.path()[0]
        if kind in ("number", "text"):
            self.at += 1
            return constant(value, Place(self.text, start, end))
        if kind == "not" and power > _NOT:
            raise self.unexpected("a value; put '(not …)' in parentheses here")
        if kind in ("not", "!", "-"):
            self.at += 1
            part = self.expression(_NOT if kind == "not" else _SIGN)
            place = Place(self.text, start, self.tokens[self.at - 1][3])
            if kind != "-":
                return Part(operators.negation(part), place)
            if part.constant and type(part.value) in (int, float):
                return constant(-part.value, place)
            return Part(operators.opposite(part, place), place)
        if kind == "[":
            return self._follow(self._list(start))
        if kind == "{":
            return self._follow(self._object(start))
        self.at += 1
        if kind == "(":
            part = self.expression()
            self.expect(")", "')' or an operator")
            inner = Part(part.run, Place(self.text, start, self.tokens[self.at - 1][3]))
            inner.constant, inner.value = part.constant, part.value
            return self._follow(inner)
        if kind in ("true", "false", "null"):
            return constant({"true": True, "false": False}.get(kind), Place(self.text, start, end))
        self.at -= 1
        raise self.unexpected("a value: a number, text, name, '(', '[' or '{'")

    def path(self, *, noted: bool = True) -> tuple[Part, Steps]:
        """A data path with its steps; the ``path`` of the part is what :mod:`._paths` needs to find or write it."""
        kind, value, start, end = self.tokens[self.at]
        if str(value) in _INSTEAD:
            raise self.unexpected("a name")
        self.at = after = self.at + 1
        name = str(value)
        if kind == "$":
            steps, places = self._steps(start, only=1)
            if not steps or type(steps[0]) is not str:
                self.at = after
                raise self.unexpected('the name of data: $.name or $["name"]')
            name = steps[0]
            end = places[0].end
        steps, places = self._steps(start)
        places.insert(0, Place(self.text, start, end))
        if noted:
            self.note(name, steps)
        part = Part(reader(name, steps, places), Place(self.text, start, self.tokens[self.at - 1][3]))
        part.path = (name, steps, places)
        return part, steps

    def note(self, name: str, steps: Steps) -> None:
        """Remember that the data of this path is read."""
        if name in self.assigned:
            return
        static: list[str | int] = [name]
        for step in steps:
            if isinstance(step, Part):
                break
            static.append(step)
        self.paths[tuple(static)] = None

    def _steps(self, start: int, only: int = -1) -> tuple[Steps, list[Place]]:
        """The keys and indexes that follow, and the places that end with each."""
        steps: Steps = []
        places: list[Place] = []
        while (kind := self.tokens[self.at][0]) in (".", "[") and len(steps) != only:
            self.at += 1
            if kind == ".":
                kind, value, *_ = self.tokens[self.at]
                if (kind != "name" and kind not in KEYWORDS) or str(value)[0] == "@":
                    raise self.unexpected('the name of a field; others are written ["like this"]')
                self.at += 1
                steps.append(str(value))
            else:
                part = self.expression()
                self.expect("]", "']' or an operator")
                known = part.constant and type(part.value) in (str, int)
                steps.append(part.value if known else part)
            places.append(Place(self.text, start, self.tokens[self.at - 1][3]))
        return steps, places

    def _follow(self, base: Part) -> Part:
        """The part itself, or what the keys and indexes behind it lead to."""
        if self.tokens[self.at][0] not in (".", "["):
            return base
        steps, places = self._steps(base.place.start)
        return Part(follower(base.run, steps, [base.place, *places]), places[-1])

    def _list(self, start: int) -> Part:
        self.at += 1
        items: list[Part] = []
        while not self.accept("]"):
            if items:
                self.expect(",", "',' or ']'")
            items.append(self.expression())
        place = Place(self.text, start, self.tokens[self.at - 1][3])
        if all(item.constant for item in items):
            return constant([item.value for item in items], place)
        runs = [item.run for item in items]
        return Part(lambda data, work: [run(data, work) for run in runs], place)

    def _object(self, start: int) -> Part:
        self.at += 1
        fields: dict[str, Part] = {}
        while not self.accept("}"):
            if fields:
                self.expect(",", "',' or '}'")
            _, key, first, _ = self.expect("text", "a key in quotes")
            if key in fields:
                raise ExpressionInvalid(
                    self.text, first, f"the key {str(key)[:40]!r} for the second time", "another key"
                )
            self.expect(":", "':' and the value of the key")
            fields[str(key)] = self.expression()
        place = Place(self.text, start, self.tokens[self.at - 1][3])
        if all(part.constant for part in fields.values()):
            return constant({key: part.value for key, part in fields.items()}, place)
        runs = [(key, part.run) for key, part in fields.items()]
        return Part(lambda data, work: {key: run(data, work) for key, run in runs}, place)

    # -- functions

    def _call(self, name: str, start: int) -> Part:
        fewest, most = 1, 1
        if name == "default":
            fewest, most = 2, 2
        elif name in FUNCTIONS:
            fewest, most, _ = FUNCTIONS[name]
        elif name != "has" and name not in self.predicates:
            known = ", ".join(sorted((*FUNCTIONS, "has", "default", *self.predicates)))
            raise ExpressionInvalid(self.text, start, f"{name[:40]}()", f"one of the functions {known}")
        self.at += 2
        arguments: list[Part] = []
        while not self.accept(")"):
            if arguments:
                self.expect(",", "',' or ')'")
            arguments.append(self.expression())
        place = Place(self.text, start, self.tokens[self.at - 1][3])
        if not fewest <= len(arguments) <= most:
            wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            raise ExpressionInvalid(self.text, start, f"{name}() with {len(arguments)} arguments", wanted)
        if name in self.predicates:
            return Part(predicate(name, arguments[0], place), place)
        if name in FUNCTIONS:
            return Part(call(name, arguments, place), place)
        return self._lenient(name, arguments, place)

    def _lenient(self, name: str, arguments: list[Part], place: Place) -> Part:
        """``has(path)`` or ``default(path, value)``."""
        target = arguments[0]
        if target.path is None:
            start = target.place.start
            raise ExpressionInvalid(self.text, start, "another value", f"a data path as the first of {name}()")
        find = finder(*target.path)
        if name == "has":
            return Part(lambda data, work: find(data, work) is not MISSING, place)
        instead = arguments[1].run

        def find_or(data: dict[str, Any], work: Work) -> Any:
            value = find(data, work)
            return instead(data, work) if value is MISSING or value is None else value

        return Part(find_or, place)
