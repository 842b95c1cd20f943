"""Hostile manifests: they cost little, whatever they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.manifest import KINDS, _document, _findings
from agentflow_kernel.manifest._document import MAX_COPIES, MAX_DEPTH, Reader
from agentflow_kernel.manifest._findings import Findings

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.manifest import Manifest

TOOL = "apiVersion: agentflow.dev/v1\nkind: Tool\nmetadata: {name: a}\nspec:\n  plugin: x\n  with:\n"
REST = "The rest of this file was not read."


def bomb(levels: int) -> str:
    """A list of ten, ten of those, and ten of those again."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.usefixtures("parser")
def test_an_alias_bomb_is_refused_before_it_goes_off(findings_of: Callable[..., list[str]]) -> None:
    """Copies are counted, not made: ten billion values cost as much as the hundred that are written."""
    assert findings_of(bomb(10)) == [
        f"m.yaml:5:45: a4[7]: Aliases add more than {MAX_COPIES:,} values. Write the values out. {REST}"
    ]


def test_a_bomb_is_defused_by_counting() -> None:
    """The parser is stopped at the alias that goes too far; nothing after it is looked at."""
    findings = Findings()
    reader = Reader(findings)
    assert reader.documents("m.yaml", bomb(100)) == ([], False)
    assert reader._nodes < 100
    assert len(findings) == 1


def test_the_limit_on_copies_holds_for_all_files(findings_of: Callable[..., list[str]]) -> None:
    """Many small bombs are one large one."""
    settings = "".join(f"    {line}\n" for line in bomb(4).splitlines())
    texts = {f"{n}.yaml": TOOL.replace("name: a", f"name: a{n}") + settings for n in range(9)}
    (finding,) = findings_of(texts)
    assert finding.startswith("./8.yaml:10:")
    assert "Aliases add more than 100,000 values." in finding


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: " + "[" * 1_000_000, "1:67"),
        ("a: " + "{b: " * 100_000, "1:256"),
        ("- " * 100_000, "1:129"),
        ("".join(f"{' ' * n}a:\n" for n in range(1_000)), "65:65"),
        ("a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 1_000)), "64:12"),
    ],
)
@pytest.mark.usefixtures("parser")
def test_deep_nesting_is_refused(findings_of: Callable[..., list[str]], text: str, place: str) -> None:
    """Brackets, blocks and chains of aliases: never a RecursionError, never a crash."""
    (finding,) = findings_of(text)
    assert finding.startswith(f"m.yaml:{place}: ")
    assert finding.endswith(f": Values are nested more than {MAX_DEPTH} levels deep. {REST}")
    assert len(finding) < 300


@pytest.mark.usefixtures("parser")
def test_nesting_up_to_the_limit_is_read(manifest_of: Callable[..., Manifest]) -> None:
    """The document, the spec and the settings are three of the levels."""
    levels = MAX_DEPTH - 3
    (tool,) = manifest_of(f"{TOOL}    a: {'[' * levels}{']' * levels}\n").resources
    value, depth = tool.spec["with"]["a"], 1
    while value:
        value, depth = value[0], depth + 1
    assert depth == levels
    assert len(tool.written()) == 2


def test_the_number_of_values_is_limited(
    findings_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of a million numbers is no manifest."""
    monkeypatch.setattr(_document, "MAX_NODES", 50)
    assert findings_of(f"{TOOL}    a: [{'1, ' * 100}]\n") == [
        f"m.yaml:7:132: spec.with.a[41]: The manifest holds more than 50 values. Split it. {REST}"
    ]


def test_the_reading_ends_after_a_thousand_findings(
    findings_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of nonsense is not explained line by line for minutes."""
    monkeypatch.setattr(_findings, "MOST", 10)
    found = findings_of("--- {kind: x}\n" * 100)
    assert len(found) == 11
    assert found[-1] == "The rest of the manifest was not looked at."


def test_suggestions_are_limited(findings_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing names costs the most; when the allowance is spent, findings go without a suggestion."""
    monkeypatch.setattr(_findings, "_COMPARISONS", 2 * len(KINDS))
    wrong = TOOL.replace("Tool", "Toll").removesuffix("  with:\n")
    found = findings_of("---\n".join([wrong] * 3))
    assert [finding.endswith("Did you mean 'Tool'?") for finding in found] == [True, True, False]


def test_long_names_are_cut(findings_of: Callable[..., list[str]]) -> None:
    """A finding stays readable when the manifest is not."""
    long = "k" * 1_000
    texts = [
        f"apiVersion: {long}\n",
        f"kind: {long}\n",
        f"{TOOL}    {long[:900]}: {{1: 2}}\n",
        f"{TOOL.removesuffix('  with:' + chr(10))}  {long[:900]}: 1\n",
        f"{TOOL}    a: *{long}\n",
    ]
    for finding in (finding for text in texts for finding in findings_of(text)):
        assert len(finding) < 400


def test_circles_of_many_flows_are_cut(findings_of: Callable[..., list[str]]) -> None:
    """A circle of a thousand flows is found without recursion, and shown in part."""
    flow = "---\napiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: f%d}\nspec: {nodes: {n: {flow: f%d}}}\n"
    (finding,) = findings_of("".join(flow % (n, (n + 1) % 1_000) for n in range(1_000)))
    first, last = (" → ".join(f"f{n}" for n in numbers) for numbers in (range(10), range(992, 1_000)))
    assert finding.endswith(f"Flows contain each other in a circle: {first} → … → {last} → f0.")
