from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from agentflow_cli.inputs import read_input, read_settings
from agentflow_kernel.errors import InputInvalid

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("count=5", {"count": 5}),
        ("flag=true", {"flag": True}),
        ("nothing=null", {"nothing": None}),
        ('list=[1, "two"]', {"list": [1, "two"]}),
        ("path=/var/log/auth.log", {"path": "/var/log/auth.log"}),
        ("text=two words ", {"text": "two words "}),
        ('quoted="5"', {"quoted": "5"}),
        ("equation=a=b", {"equation": "a=b"}),
        ("empty=", {"empty": ""}),
        ("not-a-number=NaN", {"not-a-number": "NaN"}),
        ("deep=" + "[" * 100_000, {"deep": "[" * 100_000}),
        ("dotted.key=1", {"dotted.key": 1}),
        ('{"a": {"b": [1]}}', {"a": {"b": [1]}}),
        (" {} ", {}),
        ('"ERROR disk = full"', "ERROR disk = full"),
        ("[1, 2]", [1, 2]),
        ("5", 5),
        ("null", None),
    ],
)
def test_input_takes_json_and_pairs(option: str, value: object) -> None:
    """A value that is JSON is taken as that, any other as text; only the first `=` counts; any JSON can be an input."""
    assert read_input([option]) == value


def test_input_of_several_options_is_one_object() -> None:
    """The later option replaces the keys of the earlier one."""
    assert read_input(['{"a": 1, "b": 1}', "b=2", "c=3"]) == {"a": 1, "b": 2, "c": 3}


def test_input_without_options_is_empty() -> None:
    """No input is an empty object."""
    assert read_input([]) == {}


def test_input_reads_a_file(workplace: Path) -> None:
    """`@file.json` stands for what the file holds, a byte-order mark or not."""
    (workplace / "input.json").write_text('\ufeff{"a": "é"}', encoding="utf-8")
    assert read_input(["@input.json"]) == {"a": "é"}


def test_input_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` stands for what is piped in."""
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"a": 1}'))
    assert read_input(["-"]) == {"a": 1}


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        (
            "word",
            "--input 'word': Expected a JSON object or other JSON, @file.json, - for standard input, or key=value",
        ),
        ("=5", "Expected a JSON object"),
        ("", "Expected a JSON object"),
        ("NaN", "Expected a JSON object"),
        ('{"a": }', r"--input: Expecting value at line 1, column 7\. Expected"),
        ('{"a": NaN}', "NaN is no JSON number. Expected"),
        ('{"a":' * 100_000, "recursion"),
        ("@absent.json", "--input @absent.json: cannot be read: No such file or directory."),
        ("@.", "cannot be read: Is a directory."),
        ("@latin1.json", "is not UTF-8: byte 6."),
        ("@broken.json", r"--input @broken\.json: .* at line 2, column 1\."),
    ],
)
def test_input_that_is_none_of_the_forms_is_refused(option: str, problem: str, workplace: Path) -> None:
    """The error says what was found, where, and what was expected."""
    (workplace / "latin1.json").write_bytes('{"a":"é"}'.encode("latin-1"))
    (workplace / "broken.json").write_text('{"a": 1,\n', encoding="utf-8")
    with pytest.raises(InputInvalid, match=problem):
        read_input([option])


def test_input_of_several_options_must_be_objects() -> None:
    """A text and a key cannot be one value."""
    with pytest.raises(InputInvalid, match="is no object; only objects and key=value can be combined"):
        read_input(["a=1", '"text"'])


def test_settings_must_be_an_object() -> None:
    """What has keys by nature takes nothing else."""
    assert read_settings(["a=1"], "--with") == {"a": 1}
    with pytest.raises(InputInvalid, match='--with "text": is no object; settings are given as key=value'):
        read_settings(['"text"'], "--with")


def test_input_error_names_the_option_that_was_used() -> None:
    """The same forms serve `--with`."""
    with pytest.raises(InputInvalid, match="--with 'word'"):
        read_input(["word"], "--with")
