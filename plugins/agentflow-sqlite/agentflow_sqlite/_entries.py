"""An entry: a value under a key in a namespace, as one row, with the writes that must not happen twice."""

from __future__ import annotations

import json
from typing import cast

from agentflow_kernel.contracts.memory import Entry
from agentflow_kernel.errors import MemoryConflict, NotSerialisable, ProtocolViolation
from agentflow_sqlite._schema import Schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from agentflow_kernel.contracts.values import JSON

    Row = tuple[str, bytes, int, float, float | None]

CREATE_ENTRIES = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL,
    written_at REAL NOT NULL, expires_at REAL, UNIQUE (namespace, key))"""
CREATE_WRITES = """
CREATE TABLE writes (
    id INTEGER PRIMARY KEY, write_key TEXT NOT NULL, namespace TEXT NOT NULL, key TEXT NOT NULL, previous BLOB,
    kept_until REAL NOT NULL, UNIQUE (write_key, namespace, key))"""
FIRST_STEP = (
    CREATE_ENTRIES,
    "CREATE INDEX entries_expiring ON entries (expires_at) WHERE expires_at IS NOT NULL",
    CREATE_WRITES,
    "CREATE INDEX writes_kept ON writes (kept_until)",
)
MEMORY = Schema("memory", 0x4146_6D65, (FIRST_STEP,))
"""The tables of a memory; the mark of its files reads ``AFme``."""

GET = """
SELECT key, value, version, written_at, expires_at FROM entries
WHERE namespace = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)"""
LIST = """
SELECT key, value, version, written_at, expires_at FROM entries
WHERE namespace = ? AND key >= ? AND (expires_at IS NULL OR expires_at > ?) ORDER BY key"""
PUT = """
INSERT INTO entries (namespace, key, value, version, written_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, version = excluded.version,
written_at = excluded.written_at, expires_at = excluded.expires_at"""
FIND_WRITE = "SELECT previous FROM writes WHERE write_key = ? AND namespace = ? AND key = ? AND kept_until > ?"
KEEP_WRITE = """
INSERT INTO writes (write_key, namespace, key, previous, kept_until) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (write_key, namespace, key) DO UPDATE SET
previous = excluded.previous, kept_until = excluded.kept_until"""
PRUNE_ENTRIES = """
DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT 256)"""
PRUNE_WRITES = """
DELETE FROM writes WHERE id IN (SELECT id FROM writes WHERE kept_until <= ? ORDER BY kept_until LIMIT 256)"""
DEEPEST = 200


class Write:
    """One put, as it was asked for."""

    __slots__ = ("namespace", "key", "value", "ttl_s", "write_key", "expected_version")

    def __init__(
        self,
        namespace: str,
        key: str,
        value: bytes,
        ttl_s: float | None,
        write_key: str | None,
        expected_version: int | None,
    ) -> None:
        self.namespace = namespace
        self.key = key
        self.value = value
        self.ttl_s = ttl_s
        self.write_key = write_key
        self.expected_version = expected_version


def get_entry(connection: sqlite3.Connection, namespace: str, key: str, now: float) -> Entry | None:
    """The entry that is live at ``now``."""
    row = connection.execute(GET, (namespace, key, now)).fetchone()
    return None if row is None else _to_entry(row)


def put_entry(connection: sqlite3.Connection, write: Write, now: float, write_keys_kept_s: float) -> Entry | None:
    """Write, and return the entry that was live before, or what a write with the same key returned the first time."""
    place = (write.namespace, write.key)
    if write.write_key is not None:
        row = connection.execute(FIND_WRITE, (write.write_key, *place, now)).fetchone()
        if row is not None:
            return None if row[0] is None else _to_entry(cast("Row", _from_bytes(row[0], write.key)))
    before = connection.execute(GET, (*place, now)).fetchone()
    version = 0 if before is None else before[2]
    if write.expected_version is not None and write.expected_version != version:
        raise MemoryConflict(write.key, write.expected_version, version)
    previous = None if before is None else _to_entry(before)
    expires_at = None if write.ttl_s is None else now + write.ttl_s
    connection.execute(PUT, (*place, write.value, version + 1, now, expires_at))
    if write.write_key is not None:
        kept = None if before is None else json.dumps([before[0], before[1].decode(), *before[2:]]).encode()
        connection.execute(KEEP_WRITE, (write.write_key, *place, kept, now + write_keys_kept_s))
    return previous


def delete_entry(connection: sqlite3.Connection, namespace: str, key: str, now: float) -> bool:
    """Remove an entry; whether it was live at ``now``."""
    live = connection.execute(GET, (namespace, key, now)).fetchone() is not None
    connection.execute("DELETE FROM entries WHERE namespace = ? AND key = ?", (namespace, key))
    return live


def list_entries(connection: sqlite3.Connection, place: tuple[str, str], now: float, limit: int) -> list[Entry]:
    """The first ``limit`` entries of a namespace whose keys start with a prefix, in order; ``place`` names both."""
    namespace, prefix = place
    found: list[Entry] = []
    # UTF-8 sorts as code points do, and all keys with the prefix stand together from the prefix on
    rows: Iterable[Row] = connection.execute(LIST, (namespace, prefix, now))
    for row in rows:
        if len(found) >= limit or not row[0].startswith(prefix):
            break
        found.append(_to_entry(row))
    return found


def prune(connection: sqlite3.Connection, now: float) -> None:
    """Remove some of what has expired; it is absent anyway."""
    connection.execute(PRUNE_ENTRIES, (now,))
    connection.execute(PRUNE_WRITES, (now,))


def to_bytes(value: JSON, place: str) -> bytes:
    """The value as JSON text; raises :class:`NotSerialisable` with the path of what is not JSON."""
    try:
        fault = _find_fault(value, "", 0)
        if fault is None:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        fault = "", "a text with half of a surrogate pair"
    except ValueError as error:
        fault = "", str(error)
    raise NotSerialisable(place, *fault)


def _find_fault(value: object, path: str, depth: int) -> tuple[str, str] | None:
    """Where the first value stands that is not JSON, and what it is."""
    if depth > DEEPEST:
        return path, f"nested more than {DEEPEST} deep"
    if value is None or isinstance(value, str | bool | int):
        return None
    if isinstance(value, float):
        return None if value - value == 0 else (path, f"the number {value}")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                return path, f"an object with the key {key!r}"
        children = [(f"{path}.{key}", child) for key, child in value.items()]
    elif isinstance(value, list):
        children = [(f"{path}[{index}]", child) for index, child in enumerate(value)]
    else:
        return path, f"a {type(value).__name__}"
    faults = (_find_fault(child, where, depth + 1) for where, child in children)
    return next((fault for fault in faults if fault), None)


def _to_entry(row: Row) -> Entry:
    key, value, version, written_at, expires_at = row
    return Entry(key, _from_bytes(value, key), version, written_at, expires_at)


def _from_bytes(value: bytes | str, key: str) -> JSON:
    try:
        return cast("JSON", json.loads(value))
    except (TypeError, ValueError) as error:
        raise ProtocolViolation(
            f"The memory entry {key!r} is damaged: {error}. Delete it, or put back a backup."
        ) from error
