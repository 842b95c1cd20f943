"""Lists of resources, tables that fit, colours, and lists that are watched."""

from __future__ import annotations

import io
import json
import select
import signal
import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_cli import terminal, watching
from agentflow_cli.cells import cut, fill, fold, width
from agentflow_cli.kinds import RESOURCES
from agentflow_cli.output import Table
from agentflow_cli.watching import Row, View, watch

if TYPE_CHECKING:
    from pathlib import Path

RESOURCE = "apiVersion: agentflow.dev/v1\nkind: %s\nmetadata: {name: %s}\nspec: %s\n"
PRICED = (
    "{plugin: echo, model: echo-1, aliases: [fast, cheap],"
    " prices: {input: 3, output: 15.5, cached: 0.3, as_of: '2026-11-21', source: the vendor}}"
)
OF_EACH_KIND = {
    "flows": ("Flow", "{nodes: {one: {emit: x.y}}, description: Emits.}"),
    "agents": ("Agent", "{model: fast, planner: straight}"),
    "models": ("Model", PRICED),
    "tools": ("Tool", "{plugin: cabinet, with: {root: .}}"),
    "triggers": ("Trigger", "{'on': order.*, start: flow/a-flow}"),
}


@pytest.fixture
def applied(agentflow, workplace: Path) -> str:
    """One resource of several kinds, applied."""
    documents = [RESOURCE % (kind, f"a-{kind.lower()}", spec) for kind, spec in OF_EACH_KIND.values()]
    (workplace / "all.yaml").write_text("---\n".join(documents), encoding="utf-8")
    answer = agentflow("apply", "-f", "all.yaml")
    assert answer.code == 0, answer.err
    return "all.yaml"


def test_a_kind_has_three_names(agentflow, applied: str) -> None:
    """Plural, singular and short."""
    for words in (("flows",), ("flow",), ("fl",), ("flow", "a-flow"), ("flows", "-f", applied)):
        assert agentflow("get", *words, "-o", "name").out == "flow/a-flow\n"
    assert agentflow("describe", "fl", "a-flow").out == agentflow("describe", "flows", "a-flow").out


def test_names_of_kinds_are_unique() -> None:
    words = [word for each in RESOURCES for word in (each.plural, each.singular, each.short)]
    assert len(set(words)) == len(words)


def test_models_show_aliases_and_prices(agentflow, applied: str) -> None:
    """In US dollars per million tokens, with the day and the source; found by an alias, too."""
    header, line = agentflow("get", "models").out.splitlines()
    assert header.split("  ")[0] == "NAME"
    for cell in ("a-model", "echo", "echo-1", "fast, cheap", "3", "15.5", "0.3", "2026-11-21", "the vendor"):
        assert f" {cell} " in f" {line} "
    (found,) = json.loads(agentflow("get", "model", "cheap", "-o", "json").out)
    assert found["spec"]["prices"]["output"] == 15.5
    assert (found["version"], found["line"]) == (1, 13)


def test_installed_models_come_from_their_providers(agentflow) -> None:
    """Also where nothing is applied, for people; programs get what they asked for."""
    listed = json.loads(agentflow("get", "models", "--installed", "-o", "json").out)
    assert listed[0] == {
        "name": "echo-1",
        "provider": "echo",
        "aliases": ["echo"],
        "context_tokens": 1000,
        "output_tokens": None,
        "prices": {
            "input": 1.0, "output": 2.0, "cached": None, "cache_write": None,
            "as_of": "2026-11-21", "source": "made up",
        },
    }  # fmt: skip
    answer = agentflow("get", "models")
    assert "echo-1" in answer.out
    assert answer.err.startswith("No models are applied.")
    assert agentflow("get", "models", "-o", "json").out == "[]\n"
    assert agentflow("get", "models", "--installed", "-o", "name").out == "echo/echo-1\n"


def test_a_wide_list_has_more_columns(agentflow, applied: str) -> None:
    plain, wide = (agentflow("get", "flows", "-o", form).out.splitlines() for form in ("table", "wide"))
    assert "Emits." not in plain[1]
    assert wide[1].endswith("Emits.")
    assert "all.yaml:3" in wide[1]


def test_all_lists_every_kind(agentflow, applied: str) -> None:
    lines = agentflow("get", "all").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [
        "agent/a-agent", "flow/a-flow", "model/a-model", "tool/a-tool", "trigger/a-trigger",
    ]  # fmt: skip


def test_a_manifest_is_listed_without_its_environment(agentflow, workplace: Path) -> None:
    """What is only shown need not be able to run; the value of a variable is not shown."""
    text = RESOURCE % ("Model", "m", '{plugin: nowhere, with: {key: "${ABSENT}", other: "${PRESENT}"}}')
    (workplace / "m.yaml").write_text(text, encoding="utf-8")
    answer = agentflow("get", "models", "-f", "m.yaml", "-o", "yaml", PRESENT="canary")
    assert answer.code == 0
    assert yaml.safe_load(answer.out)["spec"]["with"] == {"key": "${ABSENT}", "other": "${PRESENT}"}


def test_describe_shows_references_both_ways(agentflow, applied: str) -> None:
    """What it names and what names it, by an alias, too."""
    found = json.loads(agentflow("describe", "model", "fast", "-o", "json").out)
    assert (found["names"], found["named_by"]) == ([], ["agent/a-agent"])
    shown = agentflow("describe", "trigger", "a-trigger", "-f", applied).out
    assert "\nnames  flow/a-flow\n" in shown
    guess = agentflow("describe", "flow", "a-flwo")
    assert guess.code == 2
    assert "Did you mean 'a-flow'?" in guess.err


def test_versions_are_listed_newest_first(agentflow, applied: str, workplace: Path) -> None:
    (workplace / "all.yaml").write_text(RESOURCE % ("Flow", "a-flow", "{nodes: {two: {emit: x.y}}}"), encoding="utf-8")
    agentflow("apply", "-f", "all.yaml")
    found = json.loads(agentflow("get", "flow", "a-flow", "--versions", "-o", "json").out)
    assert [(each["version"], each["current"]) for each in found] == [(2, True), (1, False)]


# ------------------------------------------------------------ cells


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("abc", 3),
        ("日本", 4),
        ("e\u0301", 1),
        ("한국", 4),
        ("\u1112\u1161\u11ab", 2),
        ("ﾊﾝ", 2),
        ("a\u200db", 2),
        ("", 0),
    ],
)
def test_width_counts_cells(text: str, cells: int) -> None:
    """Wide characters take two, marks none."""
    assert width(text) == cells


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=40), st.integers(2, 30))
def test_texts_are_cut_and_folded_to_a_width(text: str, cells: int) -> None:
    """Nothing is wider than asked for, and folding loses blanks only."""
    assert width(cut(text, cells)) <= cells
    assert (cut(text, cells) == text) == (width(text) <= cells)
    assert all(width(line) <= cells for line in fold(text, cells))
    assert "".join("".join(fold(text, cells)).split()) == "".join(text.split())
    assert width(fill(cut(text, cells), cells)) == cells


def test_columns_are_aligned_by_cells() -> None:
    lines = Table(("A", "B"), [("日本語", "x"), ("ascii", "y")]).lines()
    assert {width(line.rpartition(" ")[0]) for line in lines[1:]} == {width("日本語  ") - 1}
    assert unicodedata.east_asian_width("日") == "W"


def test_a_table_fits_its_terminal() -> None:
    """The first column stays whole, the widest gives way, and an ellipsis says so."""
    table = Table(("ID", "TEXT", "N"), [("0123456789-id", "a long text that has no room", "1")], overflow="cut")
    header, line = table.lines(30)
    assert line == "0123456789-id  a long text…  1"
    assert width(header) <= 30


def test_the_last_column_is_folded_where_nothing_may_be_lost() -> None:
    lines = Table(("F", "VALUE"), [("key", "one two three four")]).lines(14)
    assert lines == ["F    VALUE", "key  one two", "     three", "     four"]


# ------------------------------------------------------------ colours and widths of the terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "option", "at_terminal", "elsewhere"),
    [
        ({}, "auto", True, False),
        ({"NO_COLOR": "1"}, "auto", False, False),
        ({"NO_COLOR": ""}, "auto", True, False),
        ({"FORCE_COLOR": "1"}, "auto", True, True),
        ({"FORCE_COLOR": "0"}, "auto", False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, "auto", False, False),
        ({"NO_COLOR": "1"}, "always", True, True),
        ({"FORCE_COLOR": "1"}, "never", False, False),
        ({"TERM": "dumb"}, "auto", False, False),
    ],
)
def test_colours_follow_the_option_then_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], option, at_terminal: bool, elsewhere: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal.choose_colour(option)
    try:
        assert terminal.in_colour(Screen()) is at_terminal
        assert terminal.in_colour(io.StringIO()) is elsewhere
    finally:
        terminal.choose_colour("auto")


def test_the_colour_option_reaches_the_table(agentflow) -> None:
    """Before or after the command; a pipe is never cut."""
    assert "\x1b[1m" in agentflow("--color", "always", "version").out
    assert "\x1b" not in agentflow("version", "--color", "never", FORCE_COLOR="1").out
    assert "\x1b[1m" in agentflow("version", FORCE_COLOR="1", COLUMNS="20").out
    assert "…" not in agentflow("plugins", COLUMNS="20").out


def test_columns_counts_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rubbish in the variable does not."""
    monkeypatch.setenv("COLUMNS", "33")
    assert terminal.columns(Screen()) == 33
    assert terminal.columns(io.StringIO()) is None
    monkeypatch.setenv("COLUMNS", "-1")
    assert terminal.columns(Screen()) == terminal.DEFAULT_COLUMNS


# ------------------------------------------------------------ watching


def views(*rows: list[Row]) -> object:
    """A function that gives one view after another, the last one as the end."""
    waiting = [View(("NAME", "N"), one, ended=one is rows[-1]) for one in rows]
    return lambda: waiting.pop(0)


ONE, TWO = Row("flow/a", ("a", "1"), {"n": 1}), Row("flow/a", ("a", "2"), {"n": 2})
OTHER = Row("flow/b", ("b", "1"), {"n": 3})


@pytest.mark.parametrize(
    ("form", "out"),
    [
        ("table", "NAME  N\na     1\na     2\nb     1\n"),
        ("json", '{"n": 1}\n{"n": 2}\n{"n": 3}\n'),
        ("yaml", "---\nn: 1\n---\nn: 2\n---\nn: 3\n"),
        ("name", "flow/a\nflow/a\nflow/b\n"),
    ],
)
def test_a_watch_without_a_terminal_tells_what_changes(capsys: pytest.CaptureFixture[str], form, out: str) -> None:
    """Each row when it is new or different, and once when it is gone."""
    assert watch(form, views([ONE], [ONE], [TWO, OTHER], [OTHER]), interval_s=0.001) == 0
    answer = capsys.readouterr()
    assert answer.out == out
    assert answer.err == "flow/a is gone.\n"


def test_a_watch_at_a_terminal_redraws_when_something_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("NO_COLOR", "1")
    assert watch("table", views([ONE], [ONE], [TWO]), interval_s=0.001) == 0
    assert screen.getvalue().count(watching.HOME) == 2
    assert screen.getvalue().count(watching.CLEAR) == 1


def test_a_watch_ends_with_130_at_ctrl_c(start, manifest: str) -> None:
    """As `kubectl get --watch` does, and without a word."""
    process = start("get", "runs", "--watch", "--interval", "0.05", "-o", "json")
    first = start("run", "app", "evil", "--no-progress")
    assert first.wait(timeout=120) == 0
    while json.loads(process.stdout.readline())["status"] != "completed":
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "")


def test_a_watch_ends_when_nobody_reads(start, agentflow, applied: str) -> None:
    """Though nothing changes that it could write."""
    process = start("get", "flows", "--watch", "--interval", "30")
    assert process.stdout.readline().startswith("NAME")
    process.stdout.close()
    assert process.wait(timeout=120) == 0


def test_a_watched_resource_may_go(start, agentflow, applied: str) -> None:
    """That is news, and no error; a name that was never there is one."""
    process = start("get", "tools", "a-tool", "--watch", "--interval", "0.05", "-o", "name")
    assert process.stdout.readline() == "tool/a-tool\n"
    assert agentflow("delete", "tool", "a-tool").code == 0
    assert process.stderr.readline() == "tool/a-tool is gone.\n"
    assert process.poll() is None
    assert agentflow("get", "tools", "a-tool", "--watch").code == 2


def test_a_watched_run_is_followed_to_its_end(start, manifest: str, workplace: Path) -> None:
    """Its records are told as they come; the watch ends with the run."""
    first = start("run", "app", "holding", "--no-progress")
    while not (workplace / "holding").exists():
        assert first.poll() is None
        select.select([], [], [], 0.005)
    listed = start("get", "runs", "-o", "name")
    run_id = listed.communicate(timeout=120)[0].strip().removeprefix("run/")
    process = start("describe", "run", run_id, "--watch", "--interval", "0.05", "-o", "json")
    assert json.loads(process.stdout.readline())["type"] == "run.started"
    (workplace / "released").touch()
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out.splitlines()[-1])["type"] == "run.ended"
