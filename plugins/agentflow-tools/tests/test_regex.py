"""Regular expressions: the same answers as Python's, in time that grows with the text only."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.errors import AskModelAgain
from agentflow_tools import _machine
from agentflow_tools._pattern import compile_pattern
from agentflow_tools._regex import parse_regex, required_text
from agentflow_tools._watch import Watch

LIMITS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A slow machine is no failure."""

ATOMS = [
    *"aAbk0_ -K", ".", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\.", r"\-", r"\x41", r"\u00e9", "é", "É", "{", "}",
    "a{", "{,}b", "[ab]", "[^a]", "[a-c0]", r"[\d_]", "[]a]", "[^]a]", "[a-]", r"[\w.-]", r"[^\s\d]", "^", "$", r"\b",
    r"\b", r"\b", r"\A", r"\Z",
]  # fmt: skip
REPEATS = ["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{,2}", "{1,}", "*?", "+?", "??", "{1,2}?"]

atoms = st.sampled_from(ATOMS)
patterns = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4).map("".join)
        | st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})")
        | st.tuples(inner, st.sampled_from(REPEATS)).map(lambda pair: f"(?:{pair[0]}){pair[1]}")
    ),
    max_leaves=8,
)
lines = st.text(alphabet="aAbBck0_ -.éÉKß{}", max_size=8)


def repeats_within(pattern: str) -> int:
    """How many repetitions lie one within the other; Python takes an exponential time for many."""
    stack, most = [], 0
    for place, char in enumerate(pattern):
        if char == "(":
            stack.append(pattern.startswith("(?:", place))
            most = max(most, sum(stack))
        elif char == ")":
            stack.pop()
    return most


def machine(text: str, *, ignore_case: bool = False, regex: bool = True) -> object:
    watch = Watch(SystemClock(), 3_600.0, lambda: None)
    return compile_pattern(text, regex=regex, ignore_case=ignore_case, watch=watch)


def matching(pattern, texts: list[str]) -> list[int]:
    block = "\n".join(texts).encode()
    return [number for number, line in pattern.candidates(block, 1) if pattern.find(line) is not None]


@settings(LIMITS, max_examples=400)
@given(patterns, st.lists(lines, min_size=1, max_size=5), st.booleans())
def test_answers_are_those_of_python(pattern, texts, ignore_case) -> None:
    """For every expression that both know, the same lines match."""
    assume(repeats_within(pattern) <= 3)
    try:
        reference = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except re.error:
        assume(False)
        return
    if not texts[-1]:  # an empty last line is no line
        texts.append("x")
    expected = [number for number, text in enumerate(texts, 1) if reference.search(text)]
    assert matching(machine(pattern, ignore_case=ignore_case), texts) == expected


@LIMITS
@given(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1, max_size=5), st.data())
def test_plain_texts_are_found_where_they_are(needle, data) -> None:
    """A text without regular expression matches exactly the lines that hold it."""
    filler = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=8)
    texts = data.draw(st.lists(st.one_of(filler, st.tuples(filler, filler).map(needle.join)), min_size=1, max_size=6))
    if not texts[-1]:
        texts.append("x")
    expected = [number for number, text in enumerate(texts, 1) if needle in text]
    assert matching(machine(needle, regex=False), texts) == expected


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"\broot\b", "for root from", True),
        (r"\broot\b", "chroot", False),
        (r"\broot\b", "rooted", False),
        (r"\broot\b", "root", True),
        (r"a\b", "ab", False),
        (r"a\B", "ab", True),
        (r"a\B", "a b", False),
        (r"\Bb", "ab", True),
        (r"\b\b\ba", "-a", True),
        (r"(\b|x)a", "xa", True),
        (r"(\b|x)a", "ya", False),
        (r"^\ba", "a", True),
        ("^^a$$", "a", True),
        ("a^b", "ab", False),
        ("(^a|b$)", "xb", True),
        ("(^a|b$)", "ax", True),
        ("(^a|b$)", "xax", False),
        ("(a|^)b", "b", True),
        ("(^)*b", "ab", True),
        (r"\w+é\b", "caféé", True),
    ],
)
def test_places_are_held_by_what_stands_on_both_sides(pattern, text, found) -> None:
    """Beginnings, ends and word boundaries, also several in one place, in choices and in repetitions."""
    assert (re.search(pattern, text) is not None) is found
    assert matching(machine(pattern), [text]) == ([1] if found else [])


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$", "(a|aa)+$", "(a|a?)+$", "(.*a){20}$", "(a*)*$", "((a*)*)*$", "(.*)*(.*)*(.*)*x", "(x+x+)+y",
        r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(\w+\s?)+$", "(?:a?){50}a{50}$", "(a|b|ab)*c", r"(.+)+\d{9}",
    ],
)  # fmt: skip
def test_expressions_that_explode_elsewhere_do_not(pattern) -> None:
    """The work is counted: once learnt, a second look at 20,000 characters asks for no new state."""
    looked = []
    watch = Watch(SystemClock(), 3_600.0, lambda: looked.append(1))
    compiled = compile_pattern(pattern, regex=True, ignore_case=False, watch=watch)
    text = b"a" * 20_000 + b"!"
    compiled.find(text)
    learnt = len(looked)
    print(f"{pattern}: {learnt} states and ways")
    compiled.find(text)
    assert learnt < 1_000
    assert len(looked) == learnt


def test_what_is_learnt_is_bounded(monkeypatch) -> None:
    """An expression with very many states forgets and starts again; the answer stays right."""
    monkeypatch.setattr(_machine, "MAX_KEPT", 500)
    compiled = machine("(a|b)*a(a|b){12}c")
    text = "".join("ab"[(number * 2_654_435_761 >> 7) % 2] for number in range(3_000))
    assert compiled.find(text.encode()) is None
    assert compiled.find((text + "a" + "b" * 12 + "c").encode()) is not None
    inner = compiled._machine
    assert inner._kept < 600
    assert len(inner._states) < 60


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(", "not closed"),
        (")", "closes nothing"),
        ("a)", r"closes nothing \(character 2\)"),
        ("[a", "ends too early"),
        ("[]", "ends too early"),
        ("a\\", "ends too early"),
        ("*a", "nothing to repeat"),
        ("a**", "cannot be repeated"),
        ("a++", "cannot be repeated"),
        ("a{2}{3}", "cannot be repeated"),
        ("^*", "a place"),
        ("a{3,2}", "smaller to the larger"),
        ("a{1001}", "at most 1000"),
        ("a{99999999999999999999}", "at most 1000"),
        (r"(a)\1", "references to groups"),
        (r"\0", "references to groups"),
        ("(?=a)", "only"),
        ("(?!a)", "only"),
        ("(?<=a)b", "only"),
        ("(?<!a)b", "only"),
        ("(?P=x)", "only"),
        ("(?>a)", "only"),
        ("(?i:a)", "only"),
        ("a(?i)", "only"),
        ("(?P<x", "ends too early"),
        (r"\q", "not known"),
        (r"\xZZ", "number is wrong"),
        (r"\x4", "number is wrong"),
        (r"\u12", "number is wrong"),
        (r"\U00110000", "number is wrong"),
        ("[z-a]", "lower to the higher"),
        (r"[a-\d]", "lower to the higher"),
        ("a{1000}{0,1}", "cannot be repeated"),
        ("(a{1000}){3}", "too large"),
        ("((((){1000}){1000}){1000}){1000}", "too large"),
        ("(" * 50 + ")" * 50, "nested deeper"),
    ],
)
def test_what_is_not_taken_is_sent_back_with_the_reason(pattern, problem) -> None:
    """The model sees what is wrong, where, and that a plain search would do."""
    with pytest.raises(AskModelAgain, match=problem) as caught:
        machine(pattern)
    assert "Set regex to false" in str(caught.value)


@LIMITS
@given(st.text(alphabet="()[]{}*+?|^$\\.,-01abdwsxuP<>=!:i", max_size=30))
def test_any_text_is_an_expression_or_a_clear_refusal(pattern) -> None:
    """No other error, and no deep recursion, whatever a model writes."""
    limit = sys.getrecursionlimit()
    try:
        compiled = machine(pattern)
    except AskModelAgain:
        return
    matching(compiled, ["abc", "", "x0"])
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("Failed password for .* from", "Failed password for "),
        ("(abc)+d", "abc"),
        ("(abc)?d", "d"),
        ("a|b", ""),
        ("[ab]cde.fg", "cde"),
        (r"\d+", ""),
        ("(?:ab|cd)xyz", "xyz"),
    ],
)
def test_the_text_that_every_match_holds_is_known(pattern, text) -> None:
    """So that most lines need no second look."""
    assert required_text(parse_regex(pattern)) == text
