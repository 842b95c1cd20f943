from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def test_a_terminal_sees_bars_and_then_the_text(at_terminal, manifest: str) -> None:
    """While nodes work the cursor is hidden and bars are drawn; what stays are plain lines, then the text."""
    code, shown = at_terminal("run", "app", "hello")
    assert code == 0
    assert "\x1b[?25l" in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")
    assert "loud: completed in " in shown
    assert "HELLO WORLD" in shown
    assert "Traceback" not in shown


def test_a_terminal_gets_no_escape_sequence_of_others(at_terminal, manifest: str) -> None:
    """Neither a flow's text nor an error's message can clear the screen or set its title."""
    code, shown = at_terminal("run", "app", "evil")
    assert code == 0
    assert "beforeafter" in shown
    code, more = at_terminal("run", "app", "failing")
    assert code == 1
    assert "no such luck" in more
    for sequence in ("\x1b[2J", "\x1b]0;", "\u202e"):
        assert sequence not in shown + more


def test_no_progress_draws_no_bars(at_terminal, manifest: str) -> None:
    """With --no-progress the terminal is only written to."""
    _, shown = at_terminal("run", "app", "evil", "--no-progress")
    assert "\x1b" not in shown


def test_json_at_a_terminal_has_no_bars(at_terminal, manifest: str) -> None:
    """A document is for programs, wherever it goes."""
    _, shown = at_terminal("run", "app", "evil", "-o", "json")
    assert "\x1b" not in shown
    assert "evil: completed in " in shown


def test_tables_at_a_terminal_are_coloured(at_terminal, manifest: str, workplace: Path) -> None:
    """Headings are bold and a status has its colour."""
    at_terminal("run", "app", "evil")
    _, shown = at_terminal("get", "runs")
    assert "\x1b[1m" in shown
    assert "\x1b[32mcompleted" in shown


def test_a_watch_at_a_terminal_draws_the_screen_once(at_terminal, agentflow, manifest: str) -> None:
    """A run that has ended is shown from the top of a clear screen, and that is all."""
    agentflow("run", "app", "evil", "--no-progress")
    run_id = agentflow("get", "runs", "-o", "name").out.strip().removeprefix("run/")
    code, shown = at_terminal("describe", "run", run_id, "--watch")
    assert code == 0
    assert shown.count("\x1b[2J\x1b[H") == 1
    assert "run.ended" in shown
    code, plain = at_terminal("describe", "run", run_id, "--watch", "--color", "never")
    assert "\x1b[32m" in shown
    assert "\x1b[32m" not in plain
