"""Texts that are not the YAML of a manifest, and what its unquoted words mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.manifest import Manifest

TOOL = "apiVersion: agentflow.dev/v1\nkind: Tool\nmetadata: {name: a}\nspec:\n  plugin: x\n  with:\n"
NUMBER = "JSON has no such number. Quote it if it is text."
TAG = "is refused. A manifest holds plain values only. Remove the tag; quote the value if it is text."
INDENT = "A tab indents this line. YAML allows only blanks for indentation."


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("kind: a\nspec:\n\tb: 1\n", f"m.yaml:3:1: spec: {INDENT}"),
        ("kind: a\nspec:\n  \tb: 1\n", f"m.yaml:3:3: spec: {INDENT}"),
        ("spec:\n- \tb: 1\n", f"m.yaml:2:3: spec[0]: {INDENT}"),
        ("a: \x07\n", "m.yaml:1:4: Character U+0007 is not allowed in YAML."),
    ],
)
@pytest.mark.usefixtures("parser")
def test_errors_that_are_told_in_our_own_words(findings_of: Callable[..., list[str]], text: str, finding: str) -> None:
    """Tabs and control characters read the same whichever parser found them."""
    assert findings_of(text) == [finding]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (
            "a: b: c\n",
            (
                "m.yaml:1:5: This is not YAML: mapping values are not allowed in this context. "
                "Quote text that holds ': ', or check the indentation."
            ),
        ),
        (
            "kind: x\nspec: {b: c\n\n",
            (
                "m.yaml:4:1: spec: This is not YAML: did not find expected ',' or '}', while parsing a flow mapping "
                "that begins at 2:7. A bracket or brace is not closed, or a comma is missing."
            ),
        ),
        (
            "a: 'b\n",
            (
                "m.yaml:2:1: a: This is not YAML: found unexpected end of stream, while scanning a quoted scalar "
                "that begins at 1:4. A quote is not closed."
            ),
        ),
        (
            "a: @b\n",
            (
                "m.yaml:1:4: a: This is not YAML: found character that cannot start any token. "
                "Quote text that begins with '@'."
            ),
        ),
        (
            "a:\n  - b\n c: 1\n",
            (
                "m.yaml:3:2: This is not YAML: did not find expected key, while parsing a block mapping "
                "that begins at 1:1. Check the indentation of this line against the lines before it."
            ),
        ),
        ("%YAML 3.0\n---\na: 1\n", "m.yaml:1:1: This is not YAML: found incompatible YAML document."),
    ],
)
def test_syntax_errors_say_what_usually_helps(findings_of: Callable[..., list[str]], text: str, finding: str) -> None:
    """The parser's words, the place, where the construct began, and a hint."""
    assert findings_of(text) == [finding]


@pytest.mark.usefixtures("parser")
def test_documents_before_a_syntax_error_are_checked(findings_of: Callable[..., list[str]]) -> None:
    """What stands after the error might define the names that seem to be missing: those are not reported."""
    agent = "apiVersion: agentflow.dev/v1\nkind: Agent\nmetadata: {name: a}\nspec: {model: m, toolz: []}\n---\n"
    first, second = findings_of(agent + "kind: ]\n")
    assert first.startswith("m.yaml:4:18: spec.toolz: Unknown field 'toolz'.")
    assert second.startswith("m.yaml:6:7: kind: This is not YAML: ")


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        *[(word, word) for word in ("no", "No", "on", "off", "yes", "y", "n", "YES", "tRUE", "nil", "None")],
        *[(word, word) for word in ("0o7", "007", "1_000", "0x1F", "+1", ".5", "5.", "1:30", "-x", "1e", "--1", "1 2")],
        *[(word, word) for word in ("2026-11-21", "2026-11-21T10:00:00Z", "<<", "=", "inf", "nan", "1.2.3")],
        *[("true", True), ("True", True), ("FALSE", False), ("null", None), ("~", None), ("", None), ("NULL", None)],
        *[
            ("0", 0),
            ("-12", -12),
            ("1.50", 1.5),
            ("1e3", 1000.0),
            ("2E-2", 0.02),
            ("-0.0", -0.0),
            ("9" * 30, int("9" * 30)),
        ],
        *[('"true"', "true"), ("'12'", "12"), ('""', ""), ("|-\n      3\n", "3"), ('"\\u00e4"', "ä"), ("ä", "ä")],
    ],
)
@pytest.mark.usefixtures("parser")
def test_words_mean_what_they_say(manifest_of: Callable[..., Manifest], word: str, meaning: object) -> None:
    """YAML 1.2 with the numbers of JSON: nothing but true, false, null and JSON numbers is anything but text."""
    (tool,) = manifest_of(f"{TOOL}    value: {word}\n").resources
    assert json.dumps(tool.spec["with"]) == json.dumps({"value": meaning})


@pytest.mark.usefixtures("parser")
def test_fields_may_be_called_like_booleans_of_yaml_11(manifest_of: Callable[..., Manifest]) -> None:
    """``on``, ``off``, ``yes`` and ``no`` are names like any other, in keys too."""
    (tool,) = manifest_of(f"{TOOL}    on: 1\n    off: 2\n    yes: 3\n    n: 4\n").resources
    assert tool.spec["with"] == {"on": 1, "off": 2, "yes": 3, "n": 4}


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("a: .nan", f"m.yaml:7:8: spec.with.a: '.nan' is no number that can be kept: {NUMBER}"),
        ("a: [1, -.INF]", f"m.yaml:7:12: spec.with.a[1]: '-.INF' is no number that can be kept: {NUMBER}"),
        (
            "a: -1e999",
            (
                "m.yaml:7:8: spec.with.a: '-1e999' is no number that can be kept: "
                "a number too large for a 64-bit float. Quote it if it is text."
            ),
        ),
        (
            f"a: {'1' * 5000}",
            (
                f"m.yaml:7:8: spec.with.a: '{'1' * 59}'… is no number that can be kept: "
                "a number of more than 400 characters. Quote it if it is text."
            ),
        ),
        ("a: !!python/object:os.system x", f"m.yaml:7:8: spec.with.a: The YAML tag '!!python/object:os.system' {TAG}"),
        ("a: !!python/tuple [1]", f"m.yaml:7:8: spec.with.a: The YAML tag '!!python/tuple' {TAG}"),
        ("a: !!str 3", f"m.yaml:7:8: spec.with.a: The YAML tag '!!str' {TAG}"),
        ("a: ! x", f"m.yaml:7:8: spec.with.a: The YAML tag '!' {TAG}"),
        ("1: a", "m.yaml:7:5: spec.with: A key must be a string, found the number 1. Quote it."),
        ("true: a", "m.yaml:7:5: spec.with: A key must be a string, found true. Quote it."),
        ("null: a", "m.yaml:7:5: spec.with: A key must be a string, found nothing (null). Quote it."),
        ("[a, b]: c", "m.yaml:7:5: spec.with: A key must be a string, found a list. Quote it."),
        ("{a: b}: c", "m.yaml:7:5: spec.with: A key must be a string, found a mapping. Quote it."),
        ("? []\n    : c", "m.yaml:7:7: spec.with: A key must be a string, found an empty list. Quote it."),
        (
            "<<: {a: b}",
            "m.yaml:7:5: spec.with: The merge key '<<' is not part of YAML 1.2. Repeat the fields, or quote the key.",
        ),
        ("a: 1\n    b: 2\n    a: 3", "m.yaml:9:5: spec.with.a: Key 'a' is given twice, first at 7:5."),
        ("a: *b", "m.yaml:7:8: spec.with.a: Alias '*b' has no anchor '&b' before it."),
        (
            "abc: &abc 1\n    d: *abd",
            "m.yaml:8:8: spec.with.d: Alias '*abd' has no anchor '&abd' before it. Did you mean 'abc'?",
        ),
        ("a: &a [*a]", "m.yaml:7:12: spec.with.a[0]: Alias '*a' stands inside the very value that it names."),
        ("a: &a x\n    *a : y", "m.yaml:8:5: spec.with: A key must be written out, found the alias '*a'."),
    ],
)
@pytest.mark.usefixtures("parser")
def test_values_that_a_manifest_cannot_hold(findings_of: Callable[..., list[str]], line: str, finding: str) -> None:
    """Each is one finding at its place, and none follows from it."""
    assert findings_of(f"{TOOL}    {line}\n") == [finding]


@pytest.mark.usefixtures("parser")
def test_half_a_character_is_refused(findings_of: Callable[..., list[str]]) -> None:
    """An escape that is half a surrogate pair, or beyond Unicode, never gets into a spec."""
    for escape in ("\\ud800", "\\U00110000"):
        (finding,) = findings_of(f'{TOOL}    a: "{escape}"\n')
        assert finding.startswith("m.yaml:")


@pytest.mark.usefixtures("parser")
def test_aliases_repeat_values(manifest_of: Callable[..., Manifest]) -> None:
    """An anchor may be used again in its document; a later anchor of the same name takes its place."""
    (tool,) = manifest_of(f"{TOOL}    a: &a [1, &b x]\n    b: [*a, *b]\n    c: &a 2\n    d: *a\n").resources
    assert tool.spec["with"] == {"a": [1, "x"], "b": [[1, "x"], "x"], "c": 2, "d": 2}
