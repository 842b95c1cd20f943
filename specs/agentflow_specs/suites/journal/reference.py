"""A reference: the shortest journal there is, in lists, and a machine that does the same to it and to a real one."""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentflow_kernel.contracts.journal import Record, RecordType, RunInfo, fold
from agentflow_kernel.errors import AgentFlowError, AppendConflict, Fenced, UnknownRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.testing import Harness

RUNS = ("a", "b", "é")
STATUS: dict[RecordType, Any] = {
    "run.started": {"name": "flow/x", "owner": "p1"},
    "lease": {"owner": "p2"},
    "timer.set": {"waiting": 1},
    "run.suspended": {"status": "stuck", "code": "C"},
    "run.ended": {"status": "completed"},
}
KINDS: tuple[RecordType, ...] = (*STATUS, "step.completed", "decision", "step.completed", "event.emitted")
PAYLOADS = st.none() | st.integers() | st.text("aé🐎\x00", max_size=5) | st.dictionaries(st.text("ab"), st.booleans())


class Reference:
    """What a journal means: a list of records for each run, and the bytes behind each hash."""

    def __init__(self) -> None:
        self.histories: dict[str, list[Record]] = {}
        self.blobs: dict[str, bytes] = {}

    def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """As the real one."""
        history = self.histories.get(run_id, [])
        current = history[-1].epoch if history else 0
        if epoch < current:
            raise Fenced(run_id, epoch, current)
        if expected_seq != len(history):
            raise AppendConflict(run_id, expected_seq, len(history))
        if records:
            self.histories[run_id] = [*history, *records]

    def read(self, run_id: str, from_seq: int) -> list[Record]:
        """As the real one."""
        return self.histories.get(run_id, [])[from_seq:]

    def head(self, run_id: str) -> RunInfo:
        """As the real one."""
        if run_id not in self.histories:
            raise UnknownRun(run_id)
        info = RunInfo(run_id)
        for record in self.histories[run_id]:
            fold(info, record)
        return info

    def runs(self, status: str | None) -> list[RunInfo]:
        """In any order."""
        heads = [self.head(run_id) for run_id in self.histories]
        return [info for info in heads if status is None or info.status == status]

    def put_blob(self, data: bytes) -> str:
        """As the real one."""
        ref = sha256(data).hexdigest()
        self.blobs[ref] = data
        return ref


class JournalMachine(RuleBasedStateMachine):
    """Does the same to a fresh journal of a harness and to the reference, and compares."""

    def __init__(self, harness: Harness, backend: str) -> None:
        super().__init__()
        self.reference = Reference()
        self.resources = contextlib.ExitStack()
        self.portal = self.resources.enter_context(start_blocking_portal(backend))
        self.journal: Any = self.resources.enter_context(self.portal.wrap_async_context_manager(harness.open()))

    def outcome(self, method: str, *arguments: Any, **options: Any) -> Any:
        """What the real journal returns, or what it raises, as a text."""

        async def call() -> Any:
            return await getattr(self.journal, method)(*arguments, **options)

        try:
            return self.portal.call(call)
        except AgentFlowError as error:
            return str(error)

    @rule(
        run_id=st.sampled_from(RUNS), kinds=st.lists(st.sampled_from(KINDS), max_size=3), payload=PAYLOADS,
        shift=st.sampled_from([0, 0, 0, 0, -1, 1]), newer=st.sampled_from([0, 0, 0, -1, 1, 2]),
    )  # fmt: skip
    def append(self, run_id: str, kinds: list[RecordType], payload: Any, shift: int, newer: int) -> None:
        """Append at the end of a run, or beside it."""
        history = self.reference.read(run_id, 0)
        seq = max(len(history) + shift, 0)
        epoch = max((history[-1].epoch if history else 1) + newer, 0)
        records = [
            Record(run_id, place, kind, "p", STATUS.get(kind, payload), epoch, ts=float(place))
            for place, kind in enumerate(kinds, seq)
        ]
        try:
            self.reference.append(run_id, seq, epoch, records)
            expected = None
        except AgentFlowError as error:
            expected = str(error)
        assert self.outcome("append", run_id, seq, epoch, records) == expected

    @rule(run_id=st.sampled_from(RUNS), start=st.integers(0, 6))
    def read(self, run_id: str, start: int) -> None:
        """Read from somewhere."""
        assert list(self.outcome("read", run_id, start)) == self.reference.read(run_id, start)

    @rule(run_id=st.sampled_from(RUNS))
    def head(self, run_id: str) -> None:
        """Look where a run stands."""
        try:
            expected: object = self.reference.head(run_id)
        except UnknownRun as error:
            expected = str(error)
        assert self.outcome("head", run_id) == expected

    @rule(status=st.sampled_from([None, "queued", "running", "waiting", "stuck", "completed"]))
    def runs(self, status: str | None) -> None:
        """List."""
        found = self.outcome("runs", status=status)
        assert sorted(map(repr, found)) == sorted(map(repr, self.reference.runs(status)))
        starts = [info.started_at for info in found]
        assert starts == sorted(starts, reverse=True)

    @rule(data=st.binary(max_size=20))
    def put_blob(self, data: bytes) -> None:
        """Store bytes."""
        assert self.outcome("put_blob", data) == self.reference.put_blob(data)

    @invariant()
    def every_run_and_blob_is_whole(self) -> None:
        """After every step."""
        for run_id, history in self.reference.histories.items():
            assert list(self.outcome("read", run_id)) == history
        for ref, data in self.reference.blobs.items():
            assert bytes(self.outcome("get_blob", ref)) == data

    def teardown(self) -> None:
        """Close the subject and its event loop."""
        self.resources.close()
