"""Length, depth, steps and results have bounds, and hostile text or data runs into them at once."""

from __future__ import annotations

import gc
import sys

import pytest

from agentflow_kernel.errors import ExpressionFailed, ExpressionInvalid
from agentflow_kernel.expression import MAX_LENGTH, MAX_STEPS, Expression, Script

DEEP = 100_000
FLAT = 10_000


@pytest.mark.parametrize("make", [Expression, Script])
def test_a_text_has_a_largest_length(make: type) -> None:
    text = "x := " if make is Script else ""
    text += "'" + "a" * (MAX_LENGTH - len(text) - 2) + "'"
    make(text)
    with pytest.raises(ExpressionInvalid, match="found 4,097 characters, expected at most 4,096"):
        make(text + " ")
    make(text + " ", max_length=MAX_LENGTH + 1)


def test_a_number_of_thousands_of_digits_is_refused_unread() -> None:
    with pytest.raises(ExpressionInvalid, match="found '99999"):
        Expression("9" * DEEP, max_length=DEEP)


NESTED = {
    "parentheses": ("(", "1", ")"),
    "lists": ("[", "1", "]"),
    "objects": ("{'a': ", "1", "}"),
    "indexes": ("a[", "0", "]"),
    "calls": ("len(", "a", ")"),
    "not": ("not ", "true", ""),
    "!": ("!", "true", ""),
    "minus": ("-", "a", ""),
    "choices inside": ("true ? ", "1", " : 2"),
    "default": ("default(a, ", "1", ")"),
    "right operands": ("1 + 2 * (", "1", ")"),
    "mixed": ("a or b and c == d + e * -(", "1", ")"),
}


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("closed", [True, False])
def test_deep_nesting_is_refused_while_reading(name: str, closed: bool) -> None:
    before, inside, after = NESTED[name]
    text = before * DEEP + (inside + after * DEEP if closed else "")
    with pytest.raises(ExpressionInvalid, match=r"nested more than 64 deep"):
        Expression(text, max_length=len(text), max_steps=len(text))


def test_nesting_up_to_the_bound_is_read_and_evaluated() -> None:
    assert Expression("(" * 63 + "1" + ")" * 63).evaluate({}) == 1
    with pytest.raises(ExpressionInvalid, match="nested more than 64 deep"):
        Expression("(" * 64 + "1" + ")" * 64)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1" + " + 1" * FLAT, FLAT + 1),
        ("1" + " * 1" * FLAT, 1),
        ("true" + " and true" * FLAT, True),
        ("false" + " or false" * FLAT, False),
        ("false ? 1 : " * FLAT + "2", 2),
        ("[" + "1, " * FLAT + "1][-1]", 1),
    ],
    ids=["sums", "products", "and", "or", "choices", "list"],
)
def test_long_chains_are_flat(text: str, value: object) -> None:
    assert Expression(text, max_length=len(text), max_steps=len(text)).evaluate({}) == value


def test_a_long_path_is_flat() -> None:
    data: dict[str, object] = {"a": 1}
    for _ in range(DEEP):
        data = {"a": data}
    text = "a" + ".a" * DEEP
    assert Expression(text, max_length=len(text), max_steps=3 * DEEP).evaluate(data) == 1
    with pytest.raises(ExpressionFailed, match="the result is nested more than 200 deep"):
        Expression("a").evaluate(data)


def at_depth(left: int, action: object) -> object:
    """Call the action with only so many frames left."""
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1

    def down(count: int) -> object:
        return action() if count == 0 else down(count - 1)

    return down(sys.getrecursionlimit() - depth - left)


def test_a_program_without_stack_gets_the_usual_errors() -> None:
    text = "1 + 2 * (" * 15 + "n" + ")" * 15
    expression, script = Expression(text), Script(f"x := {text}")
    assert at_depth(400, lambda: Expression(text).evaluate({"n": 0})) == expression.evaluate({"n": 0})
    with pytest.raises(ExpressionInvalid, match="without room on its stack"):
        at_depth(30, lambda: Expression(text))
    with pytest.raises(ExpressionInvalid, match="without room on its stack"):
        at_depth(30, lambda: Script(f"x := {text}"))
    with pytest.raises(ExpressionFailed, match="no room left on its stack"):
        at_depth(25, lambda: expression.evaluate({"n": 0}))
    with pytest.raises(ExpressionFailed, match="no room left on its stack"):
        at_depth(25, lambda: script.run({"n": 0}))


def nest(levels: int) -> list[object]:
    """A list that holds itself twice over, on so many levels: 2 ** levels items without any memory."""
    value: list[object] = [1]
    for _ in range(levels):
        value = [value, value]
    return value


LOOP: list[object] = []
LOOP.append(LOOP)
LONG = "a" * 10_000_000
HOSTILE = {
    "nested": nest(60),
    "other": nest(60),
    "loop": LOOP,
    "turn": [LOOP],
    "many": list(range(1_000_000)),
    "rows": [[0]] * 1_000_000,
    "long": LONG,
    "longer": "a" * 10_000_000,
    "fields": {str(number): number for number in range(20_000)},
}
TOO_MUCH = [
    "nested == other",
    "nested == nested",
    "[nested] != [other]",
    "nested in [other]",
    "loop == turn",
    "many == many",
    "-1 in many",
    "[1] in rows",
    "contains(rows, [1])",
    "fields == fields",
    "max(many)",
    "min(many) > 1",
    "'b' in long",
    "contains(long, 'b')",
    "long == longer",
    "long < longer",
    "lower(long) == 'a'",
    "upper(long) == 'a'",
    "starts_with(long, longer)",
    "In('x')",
]


@pytest.mark.parametrize("text", TOO_MUCH)
@pytest.mark.parametrize("steps", [100, MAX_STEPS])
def test_work_that_the_data_asks_for_ends_at_the_bound(text: str, steps: int) -> None:
    """Calls of functions are counted, those of C too: there is a small number of them to a step."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    expression = Expression(text, max_steps=steps, predicates=("In",))
    data = {**HOSTILE, "In()": HOSTILE["many"]}
    failed = None
    gc.disable()  # what others have left to be collected is no work of the expression
    sys.setprofile(count)
    try:
        expression.evaluate(data)
    except ExpressionFailed as exc:
        failed = exc
    finally:
        sys.setprofile(None)
        gc.enable()
    assert failed is not None
    assert failed.problem in (f"the evaluation takes more than {steps:,} steps", "text 'x' cannot be in a list")
    assert calls < 30 * steps + 200


TOO_LARGE = [
    "nested",
    "loop",
    "many",
    "rows",
    "long",
    "[long]",
    "{'a': long}",
    "[many, many]",
    "fields",
    "long + 'a'",
    "many + [1]",
]


@pytest.mark.parametrize("text", TOO_LARGE)
def test_a_result_has_a_largest_size(text: str) -> None:
    problem = r"more than (100,000|200 deep)"
    with pytest.raises(ExpressionFailed, match=problem):
        Expression(text).evaluate(HOSTILE)
    with pytest.raises(ExpressionFailed, match=problem):
        Script(f"x := {text}").run(HOSTILE)


def test_the_size_of_a_result_is_that_of_all_items_keys_and_characters() -> None:
    short, long = {"x": "a" * 99_999}, {"x": "a" * 100_000}
    assert Expression("x").evaluate(short) == short["x"]
    assert Expression("x + x == 'a'", max_steps=10**6).names == {"x"}
    with pytest.raises(ExpressionFailed, match=r"the result has more than 100,000 items and characters"):
        Expression("x").evaluate(long)
    assert Expression("len(x + '')").evaluate(long) == 100_000
    with pytest.raises(ExpressionFailed, match=r"the result has 100,001 characters, more than 100,000"):
        Expression("len(x + 'a')").evaluate(long)
    with pytest.raises(ExpressionFailed, match=r"the result has 100,002 characters, more than 100,000"):
        Expression("len(upper(x))").evaluate({"x": "ß" * 50_001})


GROWING = {
    "text": ["x := 'aaaaaaaaaaaaaaaa'"] + ["x := x + x"] * 30,
    "list": ["x := [1]"] + ["x := x + x"] * 30,
    "nested": ["x := [1]"] + ["x := [x, x]"] * 60,
    "object": ["x := {}"] + ["x := {'a': x, 'b': x}"] * 60,
    "compared": ["x := [1]", "y := [1]"] + ["x := [x, x]; y := [y, y]"] * 60 + ["x := x == y"],
    "number": ["x := 9"] + ["x *= x"] * 30,
    "float": ["x := 9.5"] + ["x *= x"] * 30,
    "deep": ["x := 1"] + ["x := [x]"] * 300,
    "many texts": ["x := '" + "a" * 90 + "'"] + ["x += x"] * 10 + ["y := [" + "x + x, " * 100 + "1]"],
}


@pytest.mark.parametrize("name", GROWING)
def test_a_script_cannot_grow_its_data_without_end(name: str) -> None:
    with pytest.raises(ExpressionFailed, match=r"more than|larger than"):
        Script("; ".join(GROWING[name])).run({})


def test_the_parts_of_an_expression_are_paid_for_in_advance() -> None:
    text = "true or " * 10 + "true"
    assert Expression(text, max_steps=22).test({})
    with pytest.raises(ExpressionFailed, match="the evaluation takes more than 21 steps"):
        Expression(text, max_steps=21).test({})
    with pytest.raises(ExpressionFailed, match="the evaluation takes more than 3 steps"):
        Script("x := 1", max_steps=3).run({})


@pytest.mark.parametrize("value", ["a" * 50_000, [1] * 50_000], ids=["text", "list"])
def test_what_is_moved_in_between_is_paid_for(value: object) -> None:
    """Otherwise one expression could move 4,096 / 11 times 100,000 characters."""
    assert Expression(" + ".join(["len(x + x)"] * 20)).evaluate({"x": value}) == 2_000_000
    with pytest.raises(ExpressionFailed, match="the evaluation takes more than 10,000 steps"):
        Expression(" + ".join(["len(x + x)"] * 30)).evaluate({"x": value})


def test_each_item_looked_at_is_a_step() -> None:
    expression = Expression("x in many", max_steps=1_004)
    assert not expression.test({"x": -1, "many": list(range(1_000))})
    with pytest.raises(ExpressionFailed, match="the evaluation takes more than 1,004 steps"):
        expression.test({"x": -1, "many": list(range(1_001))})
