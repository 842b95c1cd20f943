from __future__ import annotations

import pytest

from agentflow_cli.look import pick
from agentflow_cli.run_list import as_document, as_table, cause, duration_s
from agentflow_kernel.contracts.journal import RunInfo
from agentflow_kernel.errors import UnknownRun, UsageError

IDS = ["0190aaaa-1", "0190aaaa-2", "0190bbbb-1", "0190"]


def runs() -> list[RunInfo]:
    return [RunInfo(run_id, f"flow/{run_id}") for run_id in IDS]


@pytest.mark.parametrize(
    ("given", "meant"),
    [("0190aaaa-1", "0190aaaa-1"), ("0190b", "0190bbbb-1"), ("0190", "0190"), ("run/0190b", "0190bbbb-1")],
)
def test_a_run_is_meant_by_its_id_or_a_beginning(given: str, meant: str) -> None:
    """The beginning must be that of one run only; a whole id counts before longer ones."""
    assert pick(runs(), given).run_id == meant


def test_a_beginning_of_several_runs_is_refused() -> None:
    """The error lists them."""
    with pytest.raises(UsageError, match=r"2 runs begin with '0190aaaa': 0190aaaa-1, 0190aaaa-2\. Give more of the id"):
        pick(runs(), "0190aaaa")
    with pytest.raises(UsageError, match="and 4 more"):
        pick([RunInfo(f"x{number}") for number in range(9)], "x")


@pytest.mark.parametrize("given", ["zzz", ""])
def test_an_unknown_run_is_refused(given: str) -> None:
    """No run is taken for want of a better one."""
    with pytest.raises(UnknownRun):
        pick(runs(), given)


@pytest.mark.parametrize(
    ("status", "seconds"),
    [("running", 90.0), ("waiting", 90.0), ("suspended", 30.0), ("completed", 30.0), ("stuck", 30.0)],
)
def test_a_run_takes_time_as_long_as_somebody_works(status: str, seconds: float) -> None:
    """For a run at work the time goes on; for any other it ended with the last record."""
    info = RunInfo("x", status=status, started_at=10.0, updated_at=40.0)
    assert duration_s(info, now=100.0) == seconds


def test_the_document_has_times_in_utc() -> None:
    """Programs get times that need no local knowledge."""
    document = as_document(RunInfo("x", "flow/x", "completed", started_at=0.0, updated_at=1.5, next_seq=7), now=9.0)
    assert document["started"] == "1970-01-01T00:00:00.000Z"
    assert document["updated"] == "1970-01-01T00:00:01.500Z"
    assert (document["duration_s"], document["records"]) == (1.5, 7)


@pytest.mark.parametrize(
    ("code", "why", "text"),
    [
        ("", "asked", "asked"),
        ("AF-X", "no luck", "AF-X no luck"),
        ("AF-X", "AF-X", "AF-X"),
        ("AF-X", "", "AF-X"),
        ("", "x" * 200, "x" * 79 + "…"),
    ],
)
def test_the_cause_is_short(code: str, why: str, text: str) -> None:
    """A cause names the code and the reason, once, in one cell."""
    assert cause(RunInfo("x", code=code, cause=why)) == text


def test_a_name_cannot_write_on_the_terminal() -> None:
    """A cell shows what is in it on one line, without escape sequences."""
    table = as_table([RunInfo("x", "flow/\x1b[2Jevil\nname")])
    assert table.rows[0][1] == "flow/evil name"


WIDE = [
    RunInfo(
        f"0190{number:04x}-7a6f-7cc0-8a6f-{number:012x}",
        "flow/triage-of-all-the-logs",
        "suspended",
        cause="The run was suspended by the person at the keyboard, who will be back.",
    )
    for number in range(300)
]


@pytest.mark.parametrize("cells", [24, 40, 60, 80, 100, 150])
def test_no_line_of_the_list_is_wider_than_the_terminal(cells: int) -> None:
    """The status stays whole, and what is left of an id still names one run only; elsewhere nothing is cut."""
    table = as_table(WIDE)
    head, *lines = table.lines(cells)
    assert max(map(len, (head, *lines))) <= cells
    assert "STATUS" in head
    assert all("suspended" in line for line in lines)
    if cells >= 40:
        assert [pick(WIDE, line.split()[0]).run_id for line in lines] == [info.run_id for info in WIDE]
    assert table.lines()[1].startswith(WIDE[0].run_id)


def test_a_run_id_is_whole_where_there_is_room_beside_it() -> None:
    """Long names and causes give way before the id does; the id before a column is left out."""
    assert as_table(WIDE).lines(110)[1].startswith(WIDE[0].run_id)
    assert as_table(WIDE).lines(80)[0].split() == ["RUN", "ID", "NAME", "STATUS", "STARTED", "DURATION", "CAUSE"]
    assert as_table(WIDE).lines(40)[0].split() == ["RUN", "ID", "NAME", "STATUS", "CAUSE"]
