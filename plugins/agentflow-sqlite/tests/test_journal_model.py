"""The journal behaves as a dictionary of lists would, whatever is appended by whom in whatever order."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentflow_kernel.contracts.journal import Record, RunInfo, chain_hash, encode_record, fold
from agentflow_kernel.errors import AppendConflict, Fenced, UnknownRun
from agentflow_sqlite import _log
from agentflow_sqlite.journal import SqliteJournal

RUNS = st.sampled_from(["a", "b", "c"])
WRITERS = st.integers(0, 1)
JSON = st.none() | st.integers() | st.text("aé🐎\x00", max_size=5) | st.dictionaries(st.text("ab"), st.booleans())
STATUS = {
    "run.started": {"name": "flow/x", "owner": "p1"},
    "lease": {"owner": "p2"},
    "run.suspended": {"status": "stuck", "code": "C"},
    "run.ended": {"status": "completed"},
}
KINDS = st.sampled_from([*STATUS, "step.completed", "decision", "step.completed", "event.emitted"])


class JournalMachine(RuleBasedStateMachine):
    """Two journals on one file, each inline or on an event loop, against a dictionary."""

    backend = "asyncio"

    def __init__(self) -> None:
        super().__init__()
        self.resources = contextlib.ExitStack()
        self.portal = self.resources.enter_context(start_blocking_portal(self.backend))
        patch = self.resources.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(_log, "MANY", 4)  # so that places are noted in the middle of it
        folder = tempfile.mkdtemp()
        self.resources.callback(shutil.rmtree, folder)
        self.path = str(Path(folder, "journal.db"))
        self.journals = [SqliteJournal(self.path), SqliteJournal(self.path)]
        self.histories: dict[str, list[Record]] = {}
        self.heads: dict[str, RunInfo] = {}
        self.blobs: dict[str, bytes] = {}

    def call(self, which: int, method: str, *arguments: Any, **options: Any) -> Any:
        async def run() -> Any:
            return await getattr(self.journals[which], method)(*arguments, **options)

        return self.portal.call(run)

    @rule(
        which=WRITERS, run_id=RUNS, inline=st.booleans(), kinds=st.lists(KINDS, min_size=1, max_size=3), payload=JSON,
        shift=st.sampled_from([0, 0, 0, 0, -1, 1]), older=st.sampled_from([0, 0, 0, -1, 1]), chained=st.booleans(),
    )  # fmt: skip
    def append(self, which: int, run_id: str, inline: bool, kinds: list[Any], payload: Any, **odd: Any) -> None:
        history = self.histories.get(run_id, [])
        head = self.heads.get(run_id, RunInfo(run_id, epoch=1))
        seq, epoch = max(head.next_seq + odd["shift"], 0), max(head.epoch + odd["older"], 0)
        hash_before = chain_hash(encode_record(history[-1])) if history and odd["chained"] else ""
        records = []
        for kind in kinds:
            body = STATUS.get(kind, payload)
            place = seq + len(records)
            records.append(Record(run_id, place, kind, "p", body, epoch, ts=float(place), prev_hash=hash_before))
            hash_before = chain_hash(encode_record(records[-1])) if odd["chained"] else ""

        def append() -> None:
            if inline:
                self.journals[which].append_inline(run_id, seq, epoch, records)
            else:
                self.call(which, "append", run_id, seq, epoch, records)

        known = run_id in self.heads
        if known and epoch < head.epoch:
            with pytest.raises(Fenced):
                append()
        elif seq != head.next_seq:
            with pytest.raises(AppendConflict) as refused:
                append()
            assert refused.value.next_seq == head.next_seq
        else:
            append()
            self.histories[run_id] = history + records
            for record in records:
                fold(head, record)
            self.heads[run_id] = head

    @rule(which=WRITERS, run_id=RUNS, start=st.integers(0, 9))
    def read(self, which: int, run_id: str, start: int) -> None:
        assert self.call(which, "read", run_id, start) == self.histories.get(run_id, [])[start:]

    @rule(which=WRITERS, run_id=RUNS)
    def head(self, which: int, run_id: str) -> None:
        if run_id in self.heads:
            assert self.call(which, "head", run_id) == self.heads[run_id]
        else:
            with pytest.raises(UnknownRun):
                self.call(which, "head", run_id)

    @rule(which=WRITERS, status=st.sampled_from(["running", "stuck", "completed", "queued"]))
    def runs_of_a_status(self, which: int, status: str) -> None:
        found = self.call(which, "runs", status=status)
        expected = [info for info in self.heads.values() if info.status == status]
        assert sorted(map(repr, found)) == sorted(map(repr, expected))

    @rule(which=WRITERS, data=st.binary(max_size=20))
    def put_blob(self, which: int, data: bytes) -> None:
        self.blobs[self.call(which, "put_blob", data)] = data

    @rule(which=WRITERS)
    def open_again(self, which: int) -> None:
        self.call(which, "aclose")
        self.journals[which] = SqliteJournal(self.path)

    @invariant()
    def every_run_is_complete(self) -> None:
        for run_id, history in self.histories.items():
            assert self.call(0, "read", run_id) == history
        found = self.call(1, "runs")
        assert {info.run_id: info for info in found} == self.heads
        starts = [info.started_at for info in found]
        assert starts == sorted(starts, reverse=True)
        for ref, data in self.blobs.items():
            assert self.call(1, "get_blob", ref) == data

    def teardown(self) -> None:
        for which in (0, 1):
            self.call(which, "aclose")
        self.resources.close()


class TrioMachine(JournalMachine):
    """The same on the other event loop."""

    backend = "trio"


LIMITS = settings(max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TestJournal = JournalMachine.TestCase
TestJournal.settings = LIMITS
TestJournalOnTrio = TrioMachine.TestCase
TestJournalOnTrio.settings = LIMITS
