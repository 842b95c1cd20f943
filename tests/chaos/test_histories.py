"""Stored histories: what any release has written is taken up and ended by the code of today."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from crash import Estate, Life, key_of, problems_of
from flows import CASES
from stored import Stored, stored

from agentflow_kernel.contracts.journal import RecordType, decode_record
from agentflow_kernel.testing import Effect, InProcessJournal, InProcessMemory

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

HISTORIES = list(stored())
MARKS = {True: [pytest.mark.blocking], False: []}
"""The code of a manifest is read when it is first needed."""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "history", [pytest.param(each, id=each.name, marks=MARKS[bool(each.case.manifest)]) for each in HISTORIES]
)
async def test_a_stored_history_is_taken_up_and_ends_as_expected(history: Stored, tmp_path: Path) -> None:
    """No completed step runs again, the end is that of the case, and what was written stays as it is."""
    case = history.case
    estate = Estate(InProcessJournal(), InProcessMemory(), str(tmp_path))
    done = await history.put_into(estate.journal)
    if case.name == "remembering":  # what the memory held then is no part of the journal
        await estate.memory.put("notes", "last", 1, write_key="then")
    for run_id, path in done:
        if path in case.effects | case.perhaps:
            estate.auditor.ledger.add(Effect(key_of(run_id, path), run_id, path, 1))
    await estate.auditor.crashed(estate.journal, 1)
    before = len(estate.auditor.ledger.effects)
    ended = await Life(case, estate, 2).live()
    assert ended in case.ends
    after = await estate.histories()
    new = estate.auditor.ledger.effects[before:]
    for lines in history.runs:
        records = [decode_record(line.encode()) for line in lines]
        assert after[records[0].run_id][: len(records)] == records
    if history.has_ended:
        assert not new, "a run that had ended did something again"
    elif ended == case.ends[0]:
        assert await problems_of(case, estate) == []


def test_every_release_stores_every_flow_whole_cut_and_each_type_of_record() -> None:
    """The histories of a release are complete when it is made; later ones may have more flows."""
    by_version: dict[str, list[Stored]] = {}
    for history in HISTORIES:
        by_version.setdefault(history.version, []).append(history)
    assert by_version
    for histories in by_version.values():
        names = {history.case.name for history in histories}
        assert len(names) >= 40
        assert all(sum(history.case.name == name for history in histories) >= 2 for name in names)
    newest = by_version[max(by_version)]
    assert {history.case.name for history in newest} == set(CASES)
    assert set().union(*(history.types for history in newest)) == set(get_args(RecordType))
