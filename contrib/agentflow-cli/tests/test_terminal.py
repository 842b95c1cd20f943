from __future__ import annotations

import io
import json
import sys
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agentflow_cli.output import as_json, as_text, as_yaml
from agentflow_cli.terminal import answer_only, escaped, one_line, say, unsafe, visible

NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x9b\x9d\x07[];0m\r\n\t\u202e\u2066\u2028\ufeff\U000e0041\x00\x85"),
        st.characters(categories=["Cs"]),
    )
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NASTY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NASTY, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain Ünicode 日本 🙂\n\ttabbed", "plain Ünicode 日本 🙂\n\ttabbed"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[H\x1b[?25lgone", "gone"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPpayload\x1b\\text", "text"),
        ("\x1b]0;no end\nnext line", "\nnext line"),
        ("\x1bcreset\x1b(Bset", "resetset"),
        ("over\rwritten", "overwritten"),
        ("line\r\nline", "line\nline"),
        ("abc\b\b\bxyz", "abcxyz"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("tag\U000e0041ged", "tagged"),
        ("bad \udcff byte", "bad  byte"),
        ("nul\0 del\x7f", "nul del"),
    ],
)
def test_visible_removes_what_acts_on_a_terminal(text: str, shown: str) -> None:
    """Letters, tabs and lines stay; escape sequences, controls, reordering and hidden characters go."""
    assert visible(text) == shown


def harmless(text: str) -> bool:
    return all(
        char in "\n\t"
        or (unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"} and char not in "\u202e\u2066\ufeff")
        for char in text
    )


@given(NASTY)
def test_visible_leaves_nothing_unsafe(text: str) -> None:
    """Whatever comes in, no control, separator or half character comes out, and a second pass changes nothing."""
    shown = visible(text)
    assert harmless(shown)
    assert visible(shown) == shown


@given(NASTY)
def test_one_line_is_one_line(text: str) -> None:
    """No text breaks the line that it is put on."""
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert harmless(line)


@given(DOCUMENTS)
def test_json_output_is_harmless_and_loses_nothing(document: object) -> None:
    """What a program reads back is what there was; what a terminal gets is harmless."""
    text = as_json(document)
    assert harmless(text)
    assert json.loads(text) == document


@given(DOCUMENTS)
def test_yaml_output_is_harmless_and_loses_nothing(document: object) -> None:
    """What a program reads back is what there was; what a terminal gets is harmless."""
    text = as_yaml(document)
    assert harmless(text)
    assert yaml.safe_load(text) == document


def test_escaped_marks_characters_beyond_the_plane_as_json_does() -> None:
    """A character beyond U+FFFF becomes a pair."""
    assert json.loads(escaped('"\U000e0041"')) == "\U000e0041"
    assert unsafe("\U000e0041")
    assert not unsafe("🙂")


def test_yaml_of_a_long_text_keeps_its_lines() -> None:
    """A report in a value stays readable."""
    assert as_yaml({"report": "one\ntwo\n"}) == "report: |\n  one\n  two\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("one line", "one line\n"),
        ("two\nlines\n\n", "two\nlines\n"),
        ({"a": [1, "\x1b[2J"]}, 'a:\n  - 1\n  - "\\e[2J"\n'),
        (3, "3\n"),
        (True, "true\n"),
        ([], "[]\n"),
    ],
)
def test_results_for_people_are_text_or_yaml(value: object, text: str) -> None:
    """Text is shown as it is, other values in a form that people can read."""
    assert as_text(value) == text


def test_say_takes_a_reader_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress that nobody reads does not end a run."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    say("anybody?")


def test_answer_only_moves_what_others_print(capfd: pytest.CaptureFixture[str]) -> None:
    """Only what is written outside the block reaches standard output."""
    with answer_only(for_people=False):
        print("noise")
    print("answer")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("answer\n", "noise\n")


def test_answer_only_moves_nothing_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    """Where people read, a node's own words stay where it put them."""
    with answer_only(for_people=True):
        print("words")
    assert capfd.readouterr().out == "words\n"
