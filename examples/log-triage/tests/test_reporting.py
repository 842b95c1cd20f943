"""The report is whole, the same for the same input, and harmless to whoever reads it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def judgement(*users: str, **facts):
    attacker = {
        "address": "203.0.113.7",
        "failed_passwords": 1_234,
        "users": list(users),
        "first": "Mar  3 06:00:15",
        "last": "Mar  3 06:10:15",
        "lines": [1],
        "logins": {"count": 1, "users": ["a"], "lines": [2]},
        "seen_before": {"runs": 2, "failed_passwords": 1, "last": "Mar  2"},
        "severity": "high",
        "summary": "One.\nTwo.",
        "advice": "Block it.",
        "evidence": [1, 2],
    }
    counts = {"lines": 9, "sshd_lines": 9, "long_lines": 0, "addresses": 1, "failed_passwords": 1_234}
    counts |= {"levelled_lines": 0, "error_lines": 0, "bursts": 0, "burst_lines": 0, "older_bursts": 0, "late_lines": 0}
    totals = {**counts, "incidents": 1, "unassessed": 0, **facts}
    log = {"name": "auth.log", "size_bytes": 5_000, "lines": 9, "sha256": "abc"}
    return {"log": log, "totals": totals, "attackers": [attacker] if users else [], "bursts": [], "incidents": []}


@pytest.fixture
def report(module, walk, tmp_path):
    context = type("Context", (), {"folder": str(tmp_path)})()
    return lambda given: module("reporting").report(given, context)


def test_the_files_hold_what_the_result_says(report, tmp_path) -> None:
    found = report(judgement("root"))
    assert found["files"] == ["report.json", "report.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == found["files"]
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == found["report"]
    (attacker,) = found["report"]["attackers"]
    assert (attacker["address"], attacker["failed_passwords"], attacker["users"]) == ("203.0.113.7", 1_234, ["root"])


def test_a_report_written_again_is_the_same(report, tmp_path) -> None:
    first = report(judgement("root"))
    content = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / ".report.json.draft").write_text("half a dra")
    assert report(judgement("root")) == first
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == content


def test_the_table_has_its_columns_in_line(report) -> None:
    text = report(judgement("root", " 0101", ""))["text"]
    heading, line = text.splitlines()[-2:]
    assert " ".join(heading.split()) == "SEVERITY ADDRESS FAILED USERS GOT IN SEEN FIRST LAST NAMES TRIED"
    assert line.index("203.0.113.7") == heading.index("ADDRESS")
    assert line.endswith("root, ' 0101', ''")
    assert text.splitlines()[1] == "9 lines, 1 attacking address, 1,234 failed passwords, 1 incident"


def test_the_markdown_has_a_section_for_each_attacker(report, tmp_path) -> None:
    report(judgement("root"))
    text = (tmp_path / "report.md").read_text("utf-8")
    assert (
        "## 203.0.113.7: high\n\nOne. Two.\n\n- What to do: Block it.\n- Names tried: root\n- Logged in as: a\n" in text
    )
    assert text.endswith("- Lines to look at: 1, 2\n")


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        ({"lines": 0, "sshd_lines": 0, "addresses": 0}, "The log is empty."),
        (
            {"sshd_lines": 0, "addresses": 0},
            "No line of this log was written by sshd, and none has a time and a level. Is it the right file?",
        ),
        (
            {"sshd_lines": 0, "addresses": 0, "levelled_lines": 1_000, "error_lines": 1},
            "No burst of errors: 1 error line of 1,000 lines with time and level.",
        ),
        ({"late_lines": 2}, "Bursts may lack lines: 2 error lines came later than the earlier ones were remembered."),
        ({"levelled_lines": 9, "bursts": 9, "older_bursts": 2}, "Only counted, since later ones are shown: 2 bursts."),
        ({"addresses": 0}, "No address failed to log in with a password."),
        ({"addresses": 0, "long_lines": 1_000}, "Too long for a log, and not read: 1,000 lines."),
    ],
)
def test_a_report_without_attacks_is_sound_and_says_why(report, facts, note: str, tmp_path) -> None:
    found = report(judgement(**{"failed_passwords": 0, "incidents": 0, **facts}))
    assert found["report"]["attackers"] == []
    assert note in found["report"]["notes"]
    assert note in found["text"]
    assert f"- {note}" in (tmp_path / "report.md").read_text("utf-8")
    assert "SEVERITY" not in found["text"]


@settings(deadline=None)
@given(st.text())
def test_nothing_from_the_log_can_steer_a_terminal_or_break_a_table(module, text: str) -> None:
    reporting = module("reporting")
    assert reporting.visible(text).isprintable()
    cells = reporting.escaped(text).replace("\\\\", "").replace("\\|", "")
    assert "|" not in cells
    assert "\n" not in cells


def test_escapes_of_a_terminal_are_shown_and_not_sent(report, tmp_path) -> None:
    found = report(judgement("\x1b[2Jroot\u202e", "<b>|`x`"))
    assert "\\x1b[2Jroot\\u202e" in found["text"]
    assert "\x1b" not in found["text"]
    assert r"\<b\>\|\`x\`" in (tmp_path / "report.md").read_text("utf-8")


def bursting(count: int):
    """A judgement on a log of errors with so many bursts."""
    one = {
        "severity": "medium",
        "first": "2005-12-04 04:51:18",
        "last": "2005-12-04 04:52:52",
        "count": 9,
        "templates": [{"template": "error: child <n> | x", "count": 8}, {"template": "error: <b>", "count": 1}],
        "lines": [9, 10],
        "summary": "s",
        "advice": "Look.",
    }
    facts = {"levelled_lines": 2_000, "error_lines": 595, "bursts": count, "burst_lines": 9 * count, "incidents": count}
    return {**judgement(**facts, sshd_lines=0, addresses=0), "bursts": [one] * count}


def test_bursts_have_a_table_and_their_messages(report, tmp_path) -> None:
    found = report(bursting(2))
    lines = found["text"].splitlines()
    assert lines[1] == "9 lines, 595 error lines, 2 error bursts with 18 lines, 2 incidents"
    assert " ".join(lines[-3].split()) == "SEVERITY FIRST LAST ERRORS AT LINE MOST FREQUENT MESSAGE"
    assert lines[-1].split()[:6] == ["medium", "2005-12-04", "04:51:18", "2005-12-04", "04:52:52", "9"]
    text = (tmp_path / "report.md").read_text("utf-8")
    assert r"- 8 of error: child \<n\> \| x" in text
    assert "## 2005-12-04 04:51:18 to 2005-12-04 04:52:52: medium" in text
    assert len(found["report"]["bursts"]) == 2


def test_the_terminal_shows_no_more_bursts_than_anyone_reads(report) -> None:
    found = report(bursting(60))
    assert found["text"].splitlines()[-1] == "The latest 50 of 60 bursts; report.md has all."
    assert len(found["report"]["bursts"]) == 60


def test_the_report_of_a_followed_log_says_what_was_read_and_what_is_missing(report, tmp_path) -> None:
    given = judgement("root")
    given["log"] |= {"chunk": {"first_line": 5, "last_line": 9, "ends": False, "sha256": "def"}, "gaps": [[2, 4]]}
    assert "Not here yet: lines 2 to 4." in report(given)["text"]
    assert "so far; of this run lines 5 to 9, SHA-256" in (tmp_path / "report.md").read_text("utf-8")
