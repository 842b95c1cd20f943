from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from agentflow_cli.output import Table, show


def test_table_is_aligned_and_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are as wide as their widest cell, and lines carry no blanks at their end."""
    Table(("NAME", "VALUE"), [("a", "x" * 300), ("long name", "")]).show()
    assert capsys.readouterr().out == f"NAME       VALUE\na          {'x' * 300}\nlong name\n"


def test_table_on_a_terminal_shows_markup_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a terminal is, brackets of others are no colours, and only known words of ours are coloured."""

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    Table(("NAME", "STATUS"), [("[bold]x[/bold]\x1b[2J", "failed")]).show()
    assert "[bold]x[/bold]" in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()
    assert "\x1b[31mfailed" in screen.getvalue()


def test_several_tables_are_set_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """One empty line stands between two tables."""
    show("table", {}, Table(("A",), []), Table(("B",), []))
    assert capsys.readouterr().out == "A\n\nB\n"


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """For programs the tables do not exist."""
    show("json", {"a": 1}, Table(("A",), []))
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_yaml_writes_every_object_out(capsys: pytest.CaptureFixture[str]) -> None:
    """An object that stands twice is written twice, without anchors."""
    inner = {"b": 1}
    show("yaml", {"x": inner, "y": inner})
    assert capsys.readouterr().out == "x:\n  b: 1\ny:\n  b: 1\n"


@pytest.mark.parametrize("cells", [20, 40, 60, 80])
@pytest.mark.parametrize("overflow", ["fold", "cut"])
def test_no_line_is_wider_than_the_terminal(cells: int, overflow: Any) -> None:
    """Columns are cut, then left out from the right; one that folds stays, and keeps all its words."""
    columns = ("NAME", "VERSION", "PROVIDER", "MODEL", "ALIASES", "AS OF", "NOTE")
    table = Table(columns, [("name" * 4, *("cell" * 4 for _ in columns[2:]), "all of these words")], overflow=overflow)
    lines = table.lines(cells)
    assert max(map(len, lines)) <= cells
    if overflow == "fold":
        assert [word for line in lines for word in line.split() if word in {"all", "of", "these", "words"}] == [
            "all", "of", "these", "words",
        ]  # fmt: skip
