"""A recount: every record of a store is read, heads are made anew, and what is missing is laid at somebody's door."""

from __future__ import annotations

from agentflow_kernel.contracts.journal import RunInfo, chain_hash, decode_record, fold
from agentflow_kernel.errors import CorruptRecord
from agentflow_leveldb._layout import (
    BASES,
    HEADS,
    LAST,
    LOST,
    MISSING,
    RECORDS,
    SCHEMA_VERSION,
    STARTS,
    VERSION,
    Head,
    decode_head,
    decode_number,
    encode_head,
    encode_number,
    split_record_key,
    start_key,
)
from agentflow_leveldb._opened import Opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentflow_leveldb._high_water import Mark


class Tally:
    """What there is of one run: its records in order, up to the first that is damaged or missing."""

    __slots__ = ("info", "tail", "base", "present", "problem")

    def __init__(self, run_id: str, base: int) -> None:
        self.info = RunInfo(run_id)
        self.tail = ""
        self.base = base
        """The seq of the snapshot that follows the first record, 0 where nothing was deleted."""
        self.present = max(base - 1, 0)
        """Records there are, the damaged ones too, and those that were deleted."""
        self.problem: tuple[int, str] | None = None

    def add(self, seq: int, line: bytes) -> None:
        """Take up the next record of the run."""
        if 0 < seq < self.base:
            return  # it is deleted already, and is about to go
        self.present += 1
        if self.problem is not None:
            return
        run_id, expected = self.info.run_id, self.info.next_seq
        if self.base and expected == 1:
            expected = self.base
        if seq != expected:
            self.problem = (expected, f"it is missing, the next one is {seq}")
            return
        try:
            fold(self.info, decode_record(line, run_id=run_id, seq=seq))
        except CorruptRecord as error:
            self.problem = (error.seq, error.problem)
        self.tail = chain_hash(line)


def recount(driver: Any, db: Any, mark: Mark | None) -> Opened:
    """The store with new heads and lists, damaged runs quarantined; the count of what is missing is in the store."""
    try:
        tallies, total = _count(db)
        known = _numbers(db, MISSING)
        ends = dict(mark[1]) if mark else {}
        for key, value in db.iterator(prefix=HEADS):
            _note_end(ends, key, value)
        missing = dict(known)
        for run_id, end in ends.items():
            count = end - _present(tallies, run_id)
            if count > missing.get(run_id, 0):
                missing[run_id] = count
        for run_id, tally in tallies.items():
            if tally.problem is not None:
                missing.setdefault(run_id, 0)
        stored = decode_number(db.get(LAST)) or 0
        accounted = total + sum(missing.values())
        last = max(stored, mark[0] if mark else 0, accounted)
        opened = Opened(db, last, ends, driver.Error)
        _write(db, tallies, missing, last, last - accounted + (decode_number(db.get(LOST)) or 0))
        for run_id, tally in tallies.items():
            if run_id not in missing:
                opened.keep(Head(tally.info, tally.tail))
            elif tally.problem is not None:
                opened.quarantined[run_id] = tally.problem
        for run_id, count in missing.items():
            opened.quarantine(run_id, count)
    except BaseException:
        db.close()
        raise
    return opened


def _count(db: Any) -> tuple[dict[str, Tally], int]:
    """Every record there is, run by run, and how many."""
    tallies: dict[str, Tally] = {}
    bases = _numbers(db, BASES)
    for key, value in db.iterator(prefix=RECORDS, verify_checksums=True):
        run_id, seq = split_record_key(key)
        if run_id not in tallies:
            tallies[run_id] = Tally(run_id, bases.get(run_id, 0))
        tallies[run_id].add(seq, value)
    return tallies, sum(tally.present for tally in tallies.values())


def _present(tallies: dict[str, Tally], run_id: str) -> int:
    return tallies[run_id].present if run_id in tallies else 0


def _numbers(db: Any, prefix: bytes) -> dict[str, int]:
    return {key[1:].decode(): decode_number(value) or 0 for key, value in db.iterator(prefix=prefix)}


def _note_end(ends: dict[str, int], key: bytes, value: bytes) -> None:
    """A head that is sound says how many records its run had at least."""
    run_id = key[1:].decode()
    try:
        head = decode_head(value, run_id)
    except CorruptRecord:
        return
    ends[run_id] = max(ends.get(run_id, 0), head.info.next_seq)


def _write(db: Any, tallies: dict[str, Tally], missing: dict[str, int], last: int, lost: int) -> None:
    """Make heads, lists and counts anew, in one batch."""
    with db.write_batch(sync=True) as batch:
        for prefix in (HEADS, STARTS):
            for key in db.iterator(prefix=prefix, include_value=False):
                batch.delete(key)
        for run_id, tally in tallies.items():
            batch.put(HEADS + run_id.encode(), encode_head(Head(tally.info, tally.tail)))
            batch.put(start_key(float(tally.info.started_at), run_id), b"")
        for run_id, count in missing.items():
            batch.put(MISSING + run_id.encode(), encode_number(count))
            if run_id not in tallies:
                batch.put(start_key(0.0, run_id), b"")
        batch.put(VERSION, encode_number(SCHEMA_VERSION))
        batch.put(LAST, encode_number(last))
        if lost > 0:
            batch.put(LOST, encode_number(lost))
