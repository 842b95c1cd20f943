"""A ledger: which contents of which files have been told of, one line each, in the state folder or in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from agentflow_kernel.errors import InputInvalid, ProtocolViolation
from agentflow_sources._spool import spool_folder, storage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON


class Ledger:
    """The last content told of, by path: size, time of last change, SHA-256. All methods block.

    An entry is on disk before its event is told of; entries after the cursor are forgotten at the next start, so that
    an event that nobody took is told of again, under the same id. A restored or missing file costs the same.
    """

    def __init__(self, state_folder: str | None, source: str) -> None:
        self._source = source
        self._folder = ""
        self._path = ""
        if state_folder is not None:
            self._folder = spool_folder(state_folder, source)
            self._path = os.path.join(self._folder, "told.jsonl")
        self._entries: dict[str, tuple[int, int, str]] = {}
        self.told = 0
        """How many entries there are."""

    def open(self, cursor: JSON) -> None:
        """Read the entries up to the cursor; forget those behind it."""
        told = _read_cursor(cursor, self._source)
        if not self._path:
            return
        end = 0
        with storage(self._folder, self._source):
            os.makedirs(self._folder, exist_ok=True)
            with open(self._path, "a+b", buffering=0) as raw, open(self._path, "rb") as file:
                for line in file:
                    if self.told >= told or not line.endswith(b"\n"):
                        break
                    self._read(line)
                    end += len(line)
                raw.truncate(end)
                os.fsync(raw.fileno())
        self.told = told

    def _read(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            known = (int(entry["size_bytes"]), int(entry["modified_ns"]), str(entry["sha256"]))
            self._entries[str(entry["path"])] = known
        except (ValueError, KeyError, TypeError) as error:
            reason = f"Line {self.told + 1} of {self._path!r} of source {self._source!r} is damaged. Restore the file, "
            raise ProtocolViolation(f"{reason}or remove it to have all files read anew.", executed="no") from error
        self.told += 1

    def knows(self, path: str, size_bytes: int, modified_ns: int) -> bool:
        """Whether the file is, by its status alone, as it was told of."""
        return self._entries.get(path, (None, None))[:2] == (size_bytes, modified_ns)

    def sha256(self, path: str) -> str | None:
        """SHA-256 of the content told of last."""
        known = self._entries.get(path)
        return None if known is None else known[2]

    def add(self, path: str, size_bytes: int, modified_ns: int, sha256: str) -> int:
        """Put down a content; it is durable when this returns. Returns the number of entries."""
        self._entries[path] = (size_bytes, modified_ns, sha256)
        self.told += 1
        if self._path:
            entry = {"path": path, "size_bytes": size_bytes, "modified_ns": modified_ns, "sha256": sha256}
            with storage(self._folder, self._source), open(self._path, "ab", buffering=0) as file:
                before = file.tell()
                try:
                    file.write(json.dumps(entry).encode() + b"\n")
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)
                    raise
        return self.told


def _read_cursor(document: JSON, source: str) -> int:
    if document is None:
        return 0
    told = document.get("told") if isinstance(document, Mapping) else None
    if not isinstance(told, int) or isinstance(told, bool) or told < 0:
        problem = f"{document!r} is no cursor of this source. Take one that it gave, or none to begin anew."
        raise InputInvalid(f"Cursor of source {source!r}", problem)
    return told
