"""What is said of each text that is no expression, and of each evaluation that fails."""

from __future__ import annotations

import pytest

from agentflow_kernel.errors import ExpressionFailed, ExpressionInvalid, UsageError
from agentflow_kernel.expression import Expression

VALUE = "a value: a number, text, name, '(', '[' or '{'"
OPERATOR = "an operator or the end"

INVALID = [
    ("", 0, "the end", VALUE),
    ("  ", 2, "the end", VALUE),
    ("a +", 3, "the end", VALUE),
    ("a b", 2, "'b'", OPERATOR),
    ("a 1", 2, "'1'", OPERATOR),
    ("a 'b'", 2, "the text 'b'", OPERATOR),
    ("(a", 2, "the end", "')' or an operator"),
    ("a)", 1, "')'", OPERATOR),
    ("()", 1, "')'", VALUE),
    ("[1", 2, "the end", "',' or ']'"),
    ("[1,]", 3, "']'", VALUE),
    ("[1 2]", 3, "'2'", "',' or ']'"),
    ("{a: 1}", 1, "'a'", "a key in quotes"),
    ("{'a' 1}", 5, "'1'", "':' and the value of the key"),
    ("{'a': 1, 'a': 2}", 9, "the key 'a' for the second time", "another key"),
    ("{'a': 1", 7, "the end", "',' or '}'"),
    ("a[1", 3, "the end", "']' or an operator"),
    ("a[]", 2, "']'", VALUE),
    ("a.", 2, "the end", "the name of a field"),
    ("a.1", 2, "'1'", "the name of a field"),
    ("a.'b'", 2, "the text 'b'", "the name of a field"),
    ("a.@b", 2, "'@b'", "the name of a field"),
    ("a..b", 2, "'.'", "the name of a field"),
    ("$", 1, "the end", "the name of data"),
    ("$[0]", 1, "'['", "the name of data"),
    ("$[a]", 1, "'['", "the name of data"),
    ("@", 0, "'@'", "a value, a name or an operator"),
    ("a & b", 2, "'&'", "a value, a name or an operator"),
    ("a | b", 2, "'|'", "a value, a name or an operator"),
    ("a ^ b", 2, "'^'", "a value, a name or an operator"),
    ("~a", 0, "'~'", "a value, a name or an operator"),
    ("a # b", 2, "'#'", "a value, a name or an operator"),
    ("a\x00b", 1, "the character U+0000", "a value, a name or an operator"),
    ("p\u0430y", 1, "the character U+0430", "a value, a name or an operator"),
    ("a\u00a0b", 1, "the character U+00A0", "a value, a name or an operator"),
    ("a ** b", 3, "'*'", VALUE),
    ("+a", 0, "'+'", VALUE),
    ("a = 1", 2, "'='", "equality is written '=='"),
    ("a := 1", 2, "':='", "only scripts assign"),
    ("a ! b", 2, "'!'", "inequality is written '!='"),
    ("a <> b", 3, "'>'", VALUE),
    ("a < b < c", 6, "'<'", "comparisons are not chained"),
    ("a == b == c", 7, "'=='", "comparisons are not chained"),
    ("a in b in c", 7, "'in'", "comparisons are not chained"),
    ("a not b", 6, "'b'", "'in' after 'not'"),
    ("a == not b", 5, "'not'", "put '(not …)' in parentheses"),
    ("1 + not b", 4, "'not'", "put '(not …)' in parentheses"),
    ("a ? b", 5, "the end", "':' and what is given otherwise"),
    ("a if b else c", 2, "'if'", "a choice is written"),
    ("if a", 0, "'if'", "a choice is written"),
    ("True", 0, "'True'", "'true'"),
    ("False", 0, "'False'", "'false'"),
    ("a == None", 5, "'None'", "'null'"),
    ("007", 0, "'007'", "a number without leading zeros"),
    ("0x10", 1, "'x'", "the rest of a number"),
    ("1_000", 1, "'_'", "the rest of a number"),
    ("1.", 1, "'.'", "the rest of a number"),
    ("1.5.2", 3, "'.'", "the rest of a number"),
    ("1e", 1, "'e'", "the rest of a number"),
    (".5", 0, "'.'", VALUE),
    ("9223372036854775808", 0, "'9223372036854775808'", "a whole number up to 9223372036854775807"),
    ("1e309", 0, "'1e309'", "a number below 1.8e308"),
    ("'abc", 4, "the end", "' to close the text of character 1"),
    ("'a\nb'", 2, "the character U+000A", "an escape such as"),
    ("'\\x41'", 2, "'x'", "an escape:"),
    ("'\\", 2, "the end", "an escape:"),
    ("'\\u12'", 1, '"\\\\u12\'"', "four hexadecimal digits"),
    ("'\\ud800'", 1, r"'\\ud800'", "both halves of a surrogate pair"),
    ("'\\ud800\\u0041'", 1, r"'\\ud800'", "both halves of a surrogate pair"),
    ("'\ud800'", 1, "the character U+D800", "an escape such as"),
    ("f(1)", 0, "f()", "one of the functions abs, contains, default"),
    ("a.b(1)", 3, "'('", OPERATOR),
    ("len()", 0, "len() with 0 arguments", "1"),
    ("len(a, b)", 0, "len() with 2 arguments", "1"),
    ("round(1, 2, 3)", 0, "round() with 3 arguments", "1 to 2"),
    ("default(a)", 0, "default() with 1 arguments", "2"),
    ("len(a b)", 6, "'b'", "',' or ')'"),
    ("has(1)", 4, "another value", "a data path as the first of has()"),
    ("has((a))", 4, "another value", "a data path as the first of has()"),
    ("default(1 + 1, 2)", 8, "another value", "a data path as the first of default()"),
]


@pytest.mark.parametrize(("text", "position", "found", "expected"), INVALID, ids=[repr(row[0]) for row in INVALID])
def test_expression_invalid_says_where_what_and_what_was_expected(
    text: str, position: int, found: str, expected: str
) -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        Expression(text)
    error = caught.value
    assert (error.position, error.found) == (position, found)
    assert expected in error.expected
    assert error.text == text
    assert (error.code, error.executed) == ("AF-EXPRESSION-INVALID", "no")


def test_expression_invalid_points_at_the_place_in_its_line() -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        Expression("a and\n  b c\n  or d")
    assert str(caught.value) == (
        "Not a valid expression at line 2, column 5: found 'c', expected an operator or the end.\n    b c\n      ^"
    )


def test_expression_invalid_shows_only_the_surroundings_of_a_long_line() -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        Expression("x" * 1000 + " \t y" + " " * 1000)
    shown = str(caught.value).splitlines()
    assert shown[1] == "  " + "x" * 57 + " · y" + " " * 59
    assert shown[2] == "  " + " " * 60 + "^"


DATA = {
    "n": 5,
    "text": "abc",
    "flag": True,
    "nothing": None,
    "items": [1, 2],
    "object": {"a": 1, "b": 2},
    "infinite": float("inf"),
    "nan": float("nan"),
    "tuple": (1, 2),
    "set": {1},
    "bytes": b"x",
    "nested": {"bad": [float("nan")], "object": object(), "keys": {1: 2}},
    "huge": 2**70,
    "enormous": 10**5000,
    "below": -(2**63),
}
FAILED = [
    ("missing", "missing", "the data has no 'missing'; it has 'n', 'text', 'flag'"),
    ("n + missing", "missing", "the data has no 'missing'"),
    ("object.c", "object.c", "there is no 'c' in object; it has 'a', 'b'"),
    ("object.c.d", "object.c", "there is no 'c' in object"),
    ("object['c']", "object['c']", "there is no 'c' in object"),
    ("items[2]", "items[2]", "there is no index 2 in items, a list of 2"),
    ("items[-3]", "items[-3]", "there is no index -3 in items, a list of 2"),
    ("items[n]", "items[n]", "there is no index 5 in items, a list of 2"),
    ("items[text]", "items[text]", "items is a list of 2, which cannot have the field 'abc'"),
    ("items.a", "items.a", "items is a list of 2, which cannot have the field 'a'"),
    ("object[0]", "object[0]", "object is an object of 2, which cannot have the index 0"),
    ("n.a", "n.a", "n is number 5, which cannot have the field 'a'"),
    ("n.a.b", "n.a", "n is number 5, which cannot have the field 'a'"),
    ("text[0]", "text[0]", "text is text 'abc', which cannot have the index 0"),
    ("nothing.a", "nothing.a", "nothing is null, which cannot have the field 'a'"),
    ("flag.a", "flag.a", "flag is true, which cannot have the field 'a'"),
    ("items[true]", "items[true]", "true is neither the key of an object nor the index of a list"),
    ("items[1.0]", "items[1.0]", "number 1.0 is neither the key of an object nor the index of a list"),
    ("object[nothing]", "object[nothing]", "null is neither the key of an object nor the index of a list"),
    ("has(object[nothing])", "object[nothing]", "null is neither the key of an object"),
    ("[1, 2][2]", "[1, 2][2]", "there is no index 2 in [1, 2], a list of 2"),
    ("items[huge]", "items[huge]", "there is no index 1180591620717411303424 in items"),
    ("items[enormous]", "items[enormous]", "there is no index of more than 30 digits in items"),
    ("text > 3", "text > 3", "text 'abc' and number 3 have no order"),
    ("text <= n", "text <= n", "text 'abc' and number 5 have no order"),
    ("3 < text", "3 < text", "number 3 and text 'abc' have no order"),
    ("flag > 0", "flag > 0", "true and number 0 have no order"),
    ("flag > n", "flag > n", "true and number 5 have no order"),
    ("nothing >= 0", "nothing >= 0", "null and number 0 have no order"),
    ("items < items", "items < items", "a list of 2 and a list of 2 have no order"),
    ("n and true", "n", "expected true or false, not number 5"),
    ("true and n", "n", "expected true or false, not number 5"),
    ("flag and flag and n", "n", "expected true or false, not number 5"),
    ("false or text", "text", "expected true or false, not text 'abc'"),
    ("false or nothing or true", "nothing", "expected true or false, not null"),
    ("not items", "items", "expected true or false, not a list of 2"),
    ("!n", "n", "expected true or false, not number 5"),
    ("n ? 1 : 2", "n", "expected true or false, not number 5"),
    ("1 + 'a'", "1 + 'a'", "'+' takes two numbers, texts or lists, not number 1 and text 'a'"),
    ("1 + 2 + 'a' + 3", "1 + 2 + 'a'", "not number 3 and text 'a'"),
    ("'a' + 1", "'a' + 1", "not text 'a' and number 1"),
    ("[1] + 'a'", "[1] + 'a'", "not a list of 1 and text 'a'"),
    ("object + object", "object + object", "not an object of 2 and an object of 2"),
    ("true + true", "true + true", "not true and true"),
    ("n + true", "n + true", "not number 5 and true"),
    ("text - 1", "text - 1", "'-' takes two numbers, not text 'abc' and number 1"),
    ("text * 3", "text * 3", "'*' takes two numbers, not text 'abc' and number 3"),
    ("3 * items", "3 * items", "'*' takes two numbers"),
    ("text / 2", "text / 2", "'/' takes two numbers"),
    ("text // 2", "text // 2", "'//' takes two numbers"),
    ("text % 2", "text % 2", "'%' takes two numbers"),
    ("'%s' % text", "'%s' % text", "'%' takes two numbers"),
    ("-text", "-text", "'-' takes a number, not text 'abc'"),
    ("-flag", "-flag", "'-' takes a number, not true"),
    ("n / 0", "n / 0", "number 5 is divided by zero"),
    ("n // 0.0", "n // 0.0", "number 5 is divided by zero"),
    ("n % 0", "n % 0", "number 5 is divided by zero"),
    ("9223372036854775807 + 1", "9223372036854775807 + 1", "larger than the largest whole number"),
    ("9223372036854775807 * 9", "9223372036854775807 * 9", "larger than the largest whole number"),
    ("-9223372036854775807 - 1", "-9223372036854775807 - 1", "larger than the largest whole number"),
    ("-below", "-below", "larger than the largest whole number"),
    ("1e308 * 10", "1e308 * 10", "larger than the largest number"),
    ("-1e308 * 10", "-1e308 * 10", "larger than the largest number"),
    ("1e308 // 1e-300", "1e308 // 1e-300", "larger than the largest number"),
    ("4294967296 * 4294967296", "4294967296 * 4294967296", "larger than the largest whole number"),
    ("huge + 1", "huge + 1", "number 1180591620717411303424 is too large to calculate with"),
    ("1.5 * enormous", "1.5 * enormous", "number of more than 30 digits is too large to calculate with"),
    ("n in 5", "n in 5", "number 5 holds nothing; expected a list, a text or an object"),
    ("n in text", "n in text", "number 5 cannot be in text 'abc', only text can"),
    ("n in object", "n in object", "number 5 cannot be in an object of 2, only text can"),
    ("infinite", "infinite", "the data holds the number inf, which is not JSON"),
    ("nan > 1", "nan", "the data holds the number nan, which is not JSON"),
    ("nan == nan", "nan", "the data holds the number nan, which is not JSON"),
    ("nested.bad", "nested.bad", "the data holds the number nan, which is not JSON"),
    ("nested.bad == [1]", "nested.bad == [1]", "the data holds the number nan, which is not JSON"),
    ("1 in nested.bad", "1 in nested.bad", "the data holds the number nan, which is not JSON"),
    ("max(nested.bad)", "max(nested.bad)", "the data holds the number nan, which is not JSON"),
    ("nested.keys", "nested.keys", "an object has the key number 1; JSON has only text"),
    ("nested.object", "nested.object", "the data holds a Python object, which is not JSON"),
    ("tuple", "tuple", "the data holds a Python tuple, which is not JSON"),
    ("tuple[0]", "tuple", "the data holds a Python tuple, which is not JSON"),
    ("nested.object.x", "nested.object", "the data holds a Python object, which is not JSON"),
    ("has(tuple.x)", "tuple", "the data holds a Python tuple, which is not JSON"),
    ("1 in set", "set", "the data holds a Python set, which is not JSON"),
    ("len(bytes)", "bytes", "the data holds a Python bytes, which is not JSON"),
    ("len(n)", "len(n)", "len() takes a text, a list or an object, not number 5"),
    ("min(n)", "min(n)", "min() takes values or a list of them, not number 5"),
    ("max([])", "max([])", "max() takes values or a list of them, not an empty list"),
    ("min(1, 'a')", "min(1, 'a')", "number 1 and text 'a' have no order"),
    ("max([true])", "max([true])", "true and true have no order"),
    ("max(true, 1)", "max(true, 1)", "true and true have no order"),
    ("abs(text)", "abs(text)", "abs() takes a number, not text 'abc'"),
    ("abs(flag)", "abs(flag)", "abs() takes a number, not true"),
    ("abs(huge)", "abs(huge)", "larger than the largest whole number"),
    ("round(1e300)", "round(1e300)", "larger than the largest whole number"),
    ("round(1.5, 16)", "round(1.5, 16)", "round() takes 0 to 15 digits, not number 16"),
    ("round(1.5, -1)", "round(1.5, -1)", "round() takes 0 to 15 digits, not number -1"),
    ("round(1.5, true)", "round(1.5, true)", "round() takes 0 to 15 digits, not true"),
    ("round(1.7e308, 15) > 0 and round('x') > 0", "round('x')", "round() takes a number"),
    ("lower(n)", "lower(n)", "lower() takes text, not number 5"),
    ("upper(nothing)", "upper(nothing)", "upper() takes text, not null"),
    ("starts_with(text, n)", "starts_with(text, n)", "starts_with() takes text, not number 5"),
    ("ends_with(n, text)", "ends_with(n, text)", "ends_with() takes text, not number 5"),
    ("contains(n, 1)", "contains(n, 1)", "number 5 holds nothing"),
    ("int('1.5')", "int('1.5')", "text '1.5' is no whole number"),
    ("int(' 1')", "int(' 1')", "text ' 1' is no whole number"),
    ("int('1_0')", "int('1_0')", "text '1_0' is no whole number"),
    ("int('٣')", "int('٣')", "text '٣' is no whole number"),
    ("int('')", "int('')", "text '' is no whole number"),
    ("int('-')", "int('-')", "text '-' is no whole number"),
    ("int('9999999999999999999')", "int('9999999999999999999')", "larger than the largest whole number"),
    ("int(true)", "int(true)", "int() takes a number, not true"),
    ("int(1e300)", "int(1e300)", "larger than the largest whole number"),
    ("float('nan')", "float('nan')", "text 'nan' is no number"),
    ("float('inf')", "float('inf')", "text 'inf' is no number"),
    ("float('1_0')", "float('1_0')", "text '1_0' is no number"),
    ("float('1e')", "float('1e')", "text '1e' is no number"),
    ("float('')", "float('')", "text '' is no number"),
    ("float('1e999')", "float('1e999')", "larger than the largest number"),
    ("float(false)", "float(false)", "float() takes a number, not false"),
    ("float(huge)", "float(huge)", "larger than the largest whole number"),
    ("str(items)", "str(items)", "str() takes a text, number, boolean or null, not a list of 2"),
    ("str(huge)", "str(huge)", "number 1180591620717411303424 is too large for str()"),
    ("In(n)", "In(n)", "In() takes a text, and the data a list under 'In()'"),
    ("In('a')", "In('a')", "In() takes a text, and the data a list under 'In()'"),
]


@pytest.mark.parametrize(("text", "part", "problem"), FAILED, ids=[row[0] for row in FAILED])
def test_expression_failed_says_which_part_and_which_values(text: str, part: str, problem: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        Expression(text, predicates=("In",)).evaluate(DATA)
    error = caught.value
    assert error.part == part
    assert problem in error.problem
    assert error.expression == text
    assert (error.code, error.executed) == ("AF-EXPRESSION-FAILED", "no")


@pytest.mark.parametrize("text", ["n", "text", "nothing", "items", "'true'", "0"])
def test_test_refuses_what_is_neither_true_nor_false(text: str) -> None:
    with pytest.raises(ExpressionFailed, match="a condition must give true or false, not"):
        Expression(text).test(DATA)


def test_expression_failed_names_expression_part_and_problem_in_one_line() -> None:
    with pytest.raises(ExpressionFailed) as caught:
        Expression("n > 1 and text > 3").test(DATA)
    assert str(caught.value) == (
        "Expression 'n > 1 and text > 3': text 'abc' and number 3 have no order, at 'text > 3'."
    )


def test_both_errors_are_the_fault_of_who_wrote_the_text() -> None:
    assert issubclass(ExpressionInvalid, UsageError)
    assert issubclass(ExpressionFailed, UsageError)


@pytest.mark.parametrize("text", [None, 5, b"n"])
def test_an_expression_is_made_of_text(text: object) -> None:
    with pytest.raises(TypeError, match="An expression is a text"):
        Expression(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [None, [("n", 1)], "n", object()])
def test_the_data_is_a_mapping(data: object) -> None:
    with pytest.raises(TypeError, match="The data of an expression is a mapping"):
        Expression("n").evaluate(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["len", "has", "not", "a.b", ""])
def test_a_predicate_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a predicate"):
        Expression("true", predicates=(name,))
