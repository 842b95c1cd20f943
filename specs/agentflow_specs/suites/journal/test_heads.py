"""Heads: what a list of runs shows follows from the records, and from nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from agentflow_kernel.contracts.journal import Record, RecordType, RunInfo, fold
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal

pytestmark = pytest.mark.anyio

PAYLOADS: dict[str, Any] = {
    "run.started": {"name": "flow/other", "owner": "p0"},
    "lease": {"owner": "p2"},
    "run.suspended": {"status": "stuck", "code": "AF-X", "cause": "crash"},
    "run.ended": {"status": "failed", "code": "AF-Y", "error": "no ☃"},
    "timer.set": {"waiting": 1},
    "wait.opened": {"waiting": "approval"},
}
"""Payloads that change the head; all other types get one that does not."""


@requirement(
    "JOURNAL-20",
    "MUST",
    reason="Lists, resumption and takeover act on the head; it must never say anything else than the records.",
    advice="Call fold of agentflow_kernel.contracts.journal for every record, also of a batch with several.",
)
@pytest.mark.parametrize("kind", get_args(RecordType))
async def test_the_head_follows_every_type_of_record(journal: Journal, kind: RecordType) -> None:
    """Has, after every type of record, the head that folding all of them gives, alone and in a batch."""
    expected, seq = RunInfo("r"), 0
    batches: list[list[RecordType]] = [
        ["run.started"], [kind], ["wait.opened"], [kind, "decision"], ["lease", kind], [kind]
    ]  # fmt: skip
    for batch in batches:
        records: list[Record] = []
        for each in batch:
            payload = PAYLOADS.get(each, {"result": 1})
            records.append(Record("r", seq + len(records), each, "p", payload, 1 + seq, ts=seq + 0.5))
        await journal.append("r", seq, 1 + seq, records)
        for record in records:
            fold(expected, record)
        seq += len(records)
        assert await journal.head("r") == expected
        assert list(await journal.runs()) == [expected]
        assert list(await journal.runs(status=expected.status)) == [expected]


@requirement(
    "JOURNAL-21",
    "MUST",
    reason="People and the sweep of resumable runs look at the newest runs first and at few of them.",
    advice="Order by started_at, newest first, before the limit is applied; a later append must not move a run.",
)
async def test_runs_come_newest_start_first(journal: Journal) -> None:
    """Lists runs by their start, newest first, at most `limit` of them, whatever was appended later."""
    authors = {
        name: Author(name, started_at=start) for name, start in [("b", 200.0), ("d", 50.5), ("a", 300), ("c", 7)]
    }
    for author in authors.values():
        await author.append(journal)
    for name in "cdb":
        await authors[name].append(journal)
    assert [info.run_id for info in await journal.runs()] == ["a", "b", "d", "c"]
    assert [info.run_id for info in await journal.runs(limit=2)] == ["a", "b"]
    assert list(await journal.runs(limit=0)) == []


@requirement(
    "JOURNAL-22",
    "MUST",
    reason="A journal holds thousands of ended runs; a sweep asks for the few that wait.",
    advice="Filter before the limit; keep the index in step with every change of status.",
)
async def test_runs_are_found_by_their_status(journal: Journal) -> None:
    """Lists the runs of one status, the limit counting those only; a run that changes its status changes its list."""
    authors = [Author(f"r{number:02}", started_at=100.0 * number) for number in range(12)]
    for author in authors:
        await author.append(journal)
    for author in authors[::2]:
        await author.append(journal, {"status": "completed"}, kind="run.ended")
    await authors[1].append(journal, {"status": "stuck"}, kind="run.suspended")
    assert [info.run_id for info in await journal.runs(status="completed", limit=2)] == ["r10", "r08"]
    assert [info.run_id for info in await journal.runs(status="stuck")] == ["r01"]
    assert [info.run_id for info in await journal.runs(status="running")] == ["r11", "r09", "r07", "r05", "r03"]
    assert list(await journal.runs(status="queued")) == []
    authors[1].epoch = 2
    await authors[1].append(journal, {"owner": "new"}, kind="lease")
    assert list(await journal.runs(status="stuck")) == []
    assert [info.run_id for info in await journal.runs(status="running")][-1] == "r01"


@requirement(
    "JOURNAL-23",
    "MUST",
    reason="The default keeps an answer small.",
    advice="The limit is 100 unless another is asked for.",
)
async def test_a_list_has_a_hundred_runs_unless_more_are_asked_for(journal: Journal) -> None:
    """Lists at most 100 runs by default, and more where more are asked for."""
    for number in range(105):
        await Author(f"r{number}", started_at=float(number)).append(journal)
    assert len(await journal.runs()) == 100
    assert [info.run_id for info in await journal.runs(limit=1000)] == [f"r{number}" for number in reversed(range(105))]
