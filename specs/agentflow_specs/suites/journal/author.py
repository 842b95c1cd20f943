"""An author: writes the records of one run, numbered and chained as the engine does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel.contracts.journal import Record, chain_hash, encode_record

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal, RecordType
    from agentflow_kernel.contracts.values import JSON


class Author:
    """The owner of a run: ``epoch`` and ``next_seq`` are where its next batch goes."""

    def __init__(self, run_id: str, *, epoch: int = 1, started_at: float = 100.0) -> None:
        self.run_id = run_id
        self.epoch = epoch
        self.next_seq = 0
        self.started_at = started_at
        self._prev_hash = ""

    def write(self, *payloads: JSON, kind: RecordType = "step.completed") -> list[Record]:
        """The next batch, a record for each payload; the first record of a run is ``run.started``."""
        return [self._one(kind, payload) for payload in payloads or (None,)]

    async def append(self, journal: Journal, *payloads: JSON, kind: RecordType = "step.completed") -> list[Record]:
        """Append the next batch, and return it."""
        expected, batch = self.next_seq, self.write(*payloads, kind=kind)
        await journal.append(self.run_id, expected, self.epoch, batch)
        return batch

    def _one(self, kind: RecordType, payload: JSON) -> Record:
        seq = self.next_seq
        if not seq:
            kind, payload = "run.started", {"name": f"flow/{self.run_id}", "owner": "author"}
        record = Record(
            self.run_id,
            seq,
            kind,
            f"step/{seq}",
            payload,
            self.epoch,
            ts=self.started_at + seq,
            prev_hash=self._prev_hash,
        )
        self.next_seq += 1
        self._prev_hash = chain_hash(encode_record(record))
        return record
