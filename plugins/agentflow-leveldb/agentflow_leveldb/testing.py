"""The harness of the journal: what the conformance kit needs to test it, each time in a folder of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from agentflow_kernel.testing import FolderJournalHarness
from agentflow_leveldb._driver import load_driver
from agentflow_leveldb._layout import BLOBS, record_key
from agentflow_leveldb.journal import LevelJournal

if TYPE_CHECKING:
    from collections.abc import Mapping


class LevelJournalHarness(FolderJournalHarness[LevelJournal]):
    """Opens journals in temporary folders; a journal's place is the path of its folder."""

    entry = "journal"
    declared: ClassVar[Mapping[str, bool]] = {
        "durable": True,
        "inline": True,
        "shared": False,
        "shared-runs": False,
        "prunes": False,
        "compacts": True,
        "tally": False,
        "damage": True,
    }
    known_deviations: ClassVar[Mapping[str, str]] = {}

    def make(self, path: str) -> LevelJournal:
        """A journal in the folder at this path."""
        return LevelJournal(path, least_free=0.0)

    def damage_record(self, place: str, run_id: str, seq: int) -> None:
        """Change a byte of the record's text."""
        _spoil(place, record_key(run_id, seq), 20)

    def damage_blob(self, place: str, ref: str) -> None:
        """Change the first byte."""
        _spoil(place, BLOBS + ref.encode(), 0)


def _spoil(place: str, key: bytes, position: int) -> None:
    """Change one byte of a value, as LevelDB itself would not notice."""
    db: Any = load_driver().DB(os.path.join(place, "db"))
    value = bytearray(db.get(key))
    value[position] ^= 1
    db.put(key, bytes(value), sync=True)
    db.close()
