"""The meaning of expressions once more, as a walk over trees that has nothing in common with the kernel's closures.

A tree is a tuple: its kind, then its parts. `write` gives its text with as few parentheses as possible, so that reading
it back tests the binding of the operators.
"""

from __future__ import annotations

import json
import operator

from hypothesis import strategies as st

LARGEST = 2**63 - 1
NAMES = ["a", "b", "c", "d"]
KEYS = ["k", "l", "key with blank", "in", "ü"]
BINARY = {"+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6}
COMPARE = ["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
CALCULATE = {
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Fault(Exception):
    """The tree has no value."""


# ------------------------------------------------------------------ strategies

numbers = st.integers(-9, 9) | st.sampled_from([0.5, 1.0, 2.5, -3.0, 1e308, LARGEST, -LARGEST])
scalars = st.none() | st.booleans() | numbers | st.sampled_from(["", "a", "ab", "é\n'\"\\", "k", "😀"])
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
data = st.dictionaries(st.sampled_from(NAMES), json_values, max_size=4)
paths = st.tuples(
    st.just("path"),
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(KEYS) | st.integers(-3, 3), max_size=2).map(tuple),
)


def _larger(inner: st.SearchStrategy[tuple]) -> st.SearchStrategy[tuple]:
    chains = st.lists(inner, min_size=2, max_size=4).map(tuple)
    return st.one_of(
        st.tuples(st.just("binary"), st.sampled_from(list(BINARY)), inner, inner),
        st.tuples(st.just("compare"), st.sampled_from(COMPARE), inner, inner),
        st.tuples(st.sampled_from(["and", "or"]), chains),
        st.tuples(st.sampled_from(["not", "minus"]), inner),
        st.tuples(st.just("choice"), inner, inner, inner),
        st.tuples(st.just("list"), st.lists(inner, max_size=3).map(tuple)),
        st.tuples(
            st.just("object"), st.dictionaries(st.sampled_from(KEYS), inner, max_size=2).map(lambda d: tuple(d.items()))
        ),
        st.tuples(st.just("index"), inner, inner),
        st.tuples(st.just("has"), paths),
        st.tuples(st.just("default"), paths, inner),
        st.tuples(st.just("len"), inner),
    )


def _grown(signs: tuple[str, str, str], first: tuple, second: tuple) -> tuple:
    """A larger pair of a tree of numbers and a tree of booleans, made from two smaller ones."""
    (number, truth), (other, falsehood) = first, second
    calculate, compare, join = signs
    larger = ("choice", truth, number, other) if calculate == "?" else ("binary", calculate, number, other)
    larger = ("minus", number) if calculate == "minus" else larger
    decided = ("not", truth) if join == "not" else (join, (("compare", compare, number, other), truth, falsehood))
    return larger, decided


_signs = st.tuples(
    st.sampled_from([*BINARY, "?", "minus"]), st.sampled_from(COMPARE[:6]), st.sampled_from(["and", "or", "not"])
)
sound_trees = st.recursive(
    st.tuples(st.tuples(st.just("literal"), numbers), st.tuples(st.just("literal"), st.booleans())),
    lambda inner: st.builds(_grown, _signs, inner, inner),
    max_leaves=8,
).flatmap(st.sampled_from)
"""Trees whose types fit, so that most of them have a value."""

trees = sound_trees | st.recursive(st.tuples(st.just("literal"), scalars) | paths, _larger, max_leaves=12)


# ------------------------------------------------------------------ text


def write(tree: tuple, power: int = 0) -> str:
    """The text of a tree where operators must bind at least as strongly as `power`."""
    text, own = _written(tree)
    return f"({text})" if own < power else text


def _written(tree: tuple) -> tuple[str, int]:
    kind = tree[0]
    if kind == "literal":
        negative = type(tree[1]) in (int, float) and tree[1] < 0
        return json.dumps(tree[1]), 7 if negative else 9
    if kind == "path":
        return tree[1] + "".join(_step(step) for step in tree[2]), 9
    if kind == "binary":
        own = BINARY[tree[1]]
        return f"{write(tree[2], own)} {tree[1]} {write(tree[3], own + 1)}", own
    if kind == "compare":
        return f"{write(tree[2], 5)} {tree[1]} {write(tree[3], 5)}", 4
    if kind in ("and", "or"):
        own = 2 if kind == "and" else 1
        return f" {kind} ".join(write(part, own + 1) for part in tree[1]), own
    if kind == "not":
        return f"not {write(tree[1], 3)}", 3
    if kind == "minus":
        return f"-{write(tree[1], 7)}", 7
    if kind == "choice":
        return f"{write(tree[1], 1)} ? {write(tree[2])} : {write(tree[3])}", 0
    if kind == "list":
        return f"[{', '.join(map(write, tree[1]))}]", 9
    if kind == "object":
        return "{" + ", ".join(f"{json.dumps(key)}: {write(part)}" for key, part in tree[1]) + "}", 9
    if kind == "index":
        return f"({write(tree[1])})[{write(tree[2])}]", 9
    return f"{kind}({', '.join(map(write, tree[1:]))})", 9


def _step(step: object) -> str:
    plain = isinstance(step, str) and step.isascii() and step.isalnum()
    return f".{step}" if plain else f"[{json.dumps(step)}]"


# ------------------------------------------------------------------ meaning


def meaning(tree: tuple, known: dict) -> object:
    """The value of a tree; raises Fault where there is none."""
    kind, *parts = tree
    if kind == "literal":
        return parts[0]
    if kind == "path":
        found = look(known, parts)
        if not found:
            raise Fault
        return found[0]
    if kind in ("and", "or"):
        for part in parts[0]:
            if truth(meaning(part, known)) is (kind == "or"):
                return kind == "or"
        return kind == "and"
    if kind == "choice":
        return meaning(parts[1] if truth(meaning(parts[0], known)) else parts[2], known)
    if kind == "has":
        return bool(look(known, parts[0][1:]))
    if kind == "default":
        found = look(known, parts[0][1:])
        return found[0] if found and found[0] is not None else meaning(parts[1], known)
    if kind == "list":
        return [meaning(part, known) for part in parts[0]]
    if kind == "object":
        return {key: meaning(part, known) for key, part in parts[0]}
    if kind == "not":
        return not truth(meaning(parts[0], known))
    if kind in ("binary", "compare"):
        left, right = meaning(parts[1], known), meaning(parts[2], known)
        return (calculated if kind == "binary" else compared)(parts[0], left, right)
    values = [meaning(part, known) for part in parts]
    if kind == "minus":
        return -number(values[0])
    if kind == "len":
        if not isinstance(values[0], str | list | dict):
            raise Fault
        return len(values[0])
    found = down(values[0], values[1])
    if not found:
        raise Fault
    return found[0]


def look(known: dict, path: list) -> list:
    """What a path leads to in a list, or an empty list."""
    name, steps = path
    found = [known[name]] if name in known else []
    for step in steps:
        found = down(found[0], step) if found else []
    return found


def down(value: object, key: object) -> list:
    if isinstance(value, dict) and isinstance(key, str):
        return [value[key]] if key in value else []
    if isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool):
        return [value[key]] if -len(value) <= key < len(value) else []
    return []


def truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise Fault
    return value


def number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Fault
    return value


def calculated(sign: str, left: object, right: object) -> object:
    if sign == "+" and type(left) is type(right) and isinstance(left, str | list):
        return left + right
    try:
        value = number(left) + number(right) if sign == "+" else CALCULATE[sign](number(left), number(right))
    except (ZeroDivisionError, OverflowError):
        raise Fault from None
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124
        raise Fault
    if isinstance(value, int) and abs(value) > LARGEST:
        raise Fault
    return value


def compared(sign: str, left: object, right: object) -> bool:
    if sign in ("==", "!="):
        return (canonical(left) == canonical(right)) is (sign == "==")
    if sign in ("in", "not in"):
        if isinstance(right, list):
            found = canonical(left) in [canonical(item) for item in right]
        elif isinstance(right, str | dict) and isinstance(left, str):
            found = left in right
        else:
            raise Fault
        return found is (sign == "in")
    if isinstance(left, str) and isinstance(right, str):
        return bool(ORDER[sign](left, right))
    return bool(ORDER[sign](number(left), number(right)))


def canonical(value: object) -> object:
    """A form in which Python's own equality is that of expressions."""
    if isinstance(value, dict):
        return "object", {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return "list", [canonical(item) for item in value]
    return "boolean" if isinstance(value, bool) else "other", value
