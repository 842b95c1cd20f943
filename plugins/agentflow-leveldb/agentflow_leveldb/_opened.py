"""An opened store: LevelDB with what was found in it, how far it has got, and which runs are quarantined."""

from __future__ import annotations

import os
from itertools import islice

from agentflow_kernel.contracts.journal import TERMINAL, RunInfo, decode_record
from agentflow_kernel.errors import CorruptRecord, StorageUnavailable
from agentflow_leveldb._driver import is_damage
from agentflow_leveldb._high_water import REMEMBERED
from agentflow_leveldb._layout import (
    BASES,
    HEADS,
    LAST,
    Head,
    decode_head,
    decode_number,
    encode_head,
    encode_number,
    record_key,
    start_key,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from agentflow_leveldb._high_water import Mark


class Opened:
    """``last`` is the number of records there ever were; ``running`` are the heads of all runs that have not ended."""

    __slots__ = ("db", "path", "last", "running", "quarantined", "recent", "errors")

    def __init__(self, db: Any, last: int, recent: dict[str, int], errors: type[Exception]) -> None:
        self.db = db
        self.path: str = os.path.dirname(db.name)
        self.last = last
        self.running: dict[str, Head] = {}
        self.quarantined: dict[str, tuple[int, str]] = {}
        """Run → where it is damaged, and how."""
        self.recent = recent
        self.errors = errors
        """What LevelDB raises."""

    @property
    def mark(self) -> Mark:
        """How far it has got."""
        return self.last, dict(self.recent)

    def quarantine(self, run_id: str, missing: int) -> None:
        """Take no append for a run of which so many records are missing, or which is damaged otherwise."""
        problem = f"{missing} of its records are missing" if missing else "it was damaged when the store was counted"
        self.quarantined.setdefault(run_id, (-1, problem))

    def refuse_quarantined(self, run_id: str) -> None:
        """Raise :class:`CorruptRecord` for a run that is known to be damaged."""
        if run_id in self.quarantined:
            raise CorruptRecord(run_id, *self.quarantined[run_id])

    def find_head(self, run_id: str, source: Any = None) -> Head | None:
        """The head of a run, from a snapshot where given, or ``None``; raises :class:`CorruptRecord`."""
        if self.quarantined:
            self.refuse_quarantined(run_id)
        if source is None and (known := self.running.get(run_id)) is not None:
            return known
        try:
            data = (source or self.db).get(HEADS + run_id.encode(), verify_checksums=True)
        except self.errors as error:
            if is_damage(error):
                raise CorruptRecord(run_id, -1, "the block that holds its head is damaged") from error
            raise
        return None if data is None else decode_head(data, run_id)

    def find_base(self, run_id: str, source: Any = None) -> int:
        """The seq of the snapshot that follows the first record of a run, 0 where nothing was deleted.

        Raises :class:`CorruptRecord`.
        """
        try:
            data = (source or self.db).get(BASES + run_id.encode(), verify_checksums=True)
        except self.errors as error:
            if is_damage(error):
                raise CorruptRecord(run_id, -1, "the block that says what was deleted is damaged") from error
            raise
        base = 0 if data is None else decode_number(data)
        if base is None:
            raise CorruptRecord(run_id, -1, "what says how much was deleted is damaged")
        return base

    def check_end(self, head: Head) -> None:
        """Raise :class:`CorruptRecord` unless the last record of a run is there and is the one that its head knows."""
        from agentflow_kernel.contracts.journal import chain_hash  # lazy: 1 ms for hashlib

        run_id, seq = head.info.run_id, head.info.next_seq - 1
        data = self.db.get(record_key(run_id, seq), verify_checksums=True)
        if data is None:
            raise CorruptRecord(run_id, seq, "it is missing")
        decode_record(data, run_id=run_id, seq=seq)
        if chain_hash(data) != head.tail:
            raise CorruptRecord(run_id, seq, "it is not the one that was appended last")

    def keep(self, head: Head) -> None:
        """Remember a head as the current one."""
        if head.info.status in TERMINAL:
            self.running.pop(head.info.run_id, None)
        else:
            self.running[head.info.run_id] = head


def no_space(path: str) -> StorageUnavailable:
    """What a run is told that may not begin."""
    return StorageUnavailable(
        f"Storage {path!r} takes no new run: too little of its disk is free. Runs that have begun go on. "
        "Free some space, or set 'least_free' lower.",
        executed="no",
    )


class Transaction:
    """What several callers write at once. Nothing of it is in the store before :meth:`commit`."""

    __slots__ = ("opened", "allows_new_run", "last", "_heads", "_bases", "_puts", "_deletes")

    def __init__(self, opened: Opened, *, allows_new_run: bool) -> None:
        self.opened = opened
        self.allows_new_run = allows_new_run
        self.last = opened.last
        self._heads: dict[str, Head] = {}
        self._bases: dict[str, int] = {}
        self._puts: list[tuple[bytes, bytes]] = []
        self._deletes: list[bytes] = []

    def head(self, run_id: str) -> Head | None:
        """The head as this transaction leaves it."""
        return self._heads.get(run_id) or self.opened.find_head(run_id)

    def append(self, before: RunInfo | None, head: Head, lines: Sequence[bytes]) -> None:
        """Add the records that lead from ``before`` to ``head``."""
        info = head.info
        for seq, line in enumerate(lines, info.next_seq - len(lines)):
            self._puts.append((record_key(info.run_id, seq), line))
        if before is None or before.started_at != info.started_at:
            if before is not None:
                self._deletes.append(start_key(before.started_at, info.run_id))
            self._puts.append((start_key(info.started_at, info.run_id), b""))
        self._heads[info.run_id] = head
        self.last += len(lines)

    def base(self, run_id: str) -> int:
        """As :meth:`Opened.find_base`, as this transaction leaves it."""
        return self._bases.get(run_id) or self.opened.find_base(run_id)

    def compact(self, run_id: str, base: int, most: int) -> int:
        """Hide the records between the first of a run and ``base``, and delete at most so many; how many."""
        if base != self.base(run_id):
            self._bases[run_id] = base
            self._puts.append((BASES + run_id.encode(), encode_number(base)))
        between = {"start": record_key(run_id, 1), "stop": record_key(run_id, base)}
        keys = list(islice(self.opened.db.iterator(**between, include_value=False, fill_cache=False), most))
        self._deletes += keys
        return len(keys)

    def put(self, key: bytes, value: bytes) -> None:
        """Add anything else."""
        self._puts.append((key, value))

    def commit(self) -> bool:
        """Write all, synced; ``False`` when there is nothing to write. Raises what LevelDB raises."""
        if not self._puts and not self._deletes:
            return False
        batch = self.opened.db.write_batch(sync=True)
        for key in self._deletes:
            batch.delete(key)
        for key, value in self._puts:
            batch.put(key, value)
        for run_id, head in self._heads.items():
            batch.put(HEADS + run_id.encode(), encode_head(head))
        batch.put(LAST, encode_number(self.last))
        batch.write()
        return True

    def apply(self, opened: Opened) -> None:
        """Remember what has become durable."""
        opened.last = self.last
        recent = opened.recent
        for run_id, head in self._heads.items():
            opened.keep(head)
            recent.pop(run_id, None)
            recent[run_id] = head.info.next_seq
        while len(recent) > REMEMBERED:
            del recent[next(iter(recent))]
