"""A memory in an SQLite file: durable entries, shared by the processes of one machine."""

from __future__ import annotations

import math

from agentflow_kernel.errors import UsageError
from agentflow_sqlite._database import Database
from agentflow_sqlite._entries import (
    MEMORY,
    Write,
    delete_entry,
    get_entry,
    list_entries,
    prune,
    put_entry,
    to_bytes,
)
from agentflow_sqlite._store import Store, place_file
from agentflow_sqlite._transactions import Mirror

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    import sqlite3
    from collections.abc import Sequence

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.memory import Entry
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_sqlite.settings import MemorySettings

LONGEST_NAME = 512
PRUNE_EVERY = 64
"""Writes after which some of what has expired is removed."""


def create_memory(settings: MemorySettings, context: PluginContext) -> SqliteMemory:
    """The memory of a resource; raises :class:`UsageError` when there is no place for its file."""
    return SqliteMemory(
        place_file(settings.path, context, "memory.db"),
        clock=context.clock,
        busy_timeout_s=settings.busy_timeout_s,
        write_keys_kept_s=settings.write_keys_kept_s,
    )


class SqliteMemory:
    """The memory in the file at ``path``. The file and its folder are created by the first write.

    ``clock.now()`` decides what is live; it is also called in worker threads. A ``write_key`` is remembered for
    ``write_keys_kept_s`` seconds after its write, for each key of each namespace on its own.
    """

    __slots__ = ("_clock", "_write_keys_kept_s", "_database", "_writes")

    def __init__(
        self,
        path: str,
        *,
        clock: Clock,
        busy_timeout_s: float = 5.0,
        write_keys_kept_s: float = 30 * 86_400.0,
    ) -> None:
        self._clock = clock
        self._write_keys_kept_s = write_keys_kept_s
        self._database = Database(Store(path, MEMORY, busy_timeout_s), Mirror())
        self._writes = 0

    async def get(self, namespace: str, key: str) -> Entry | None:
        """The entry as it is in the file now, whichever process wrote it."""
        _check_names(namespace=namespace, key=key)

        def query(connection: sqlite3.Connection) -> Entry | None:
            return get_entry(connection, namespace, key, self._clock.now())

        return await self._database.read(query, None)

    async def put(
        self,
        namespace: str,
        key: str,
        value: JSON,
        *,
        ttl_s: float | None = None,
        write_key: str | None = None,
        expected_version: int | None = None,
    ) -> Entry | None:
        """Write durably; :class:`UsageError` for a name or a time to live that is none."""
        _check_names(namespace=namespace, key=key)
        if write_key is not None:
            _check_text("write_key", write_key)
        if ttl_s is not None and not 0 < ttl_s < math.inf:
            raise UsageError(f"Memory key {key!r}: ttl_s must be a finite number of seconds above 0, not {ttl_s!r}.")
        write = Write(namespace, key, to_bytes(value, f"memory key {key}"), ttl_s, write_key, expected_version)

        def job(connection: sqlite3.Connection) -> Entry | None:
            now = self._clock.now()
            previous = put_entry(connection, write, now, self._write_keys_kept_s)
            self._writes += 1
            if self._writes % PRUNE_EVERY == 0:
                prune(connection, now)
            return previous

        return await self._database.write(job)

    async def delete(self, namespace: str, key: str) -> bool:
        """Remove durably."""
        _check_names(namespace=namespace, key=key)
        return await self._database.write(
            lambda connection: delete_entry(connection, namespace, key, self._clock.now())
        )

    async def list(self, namespace: str, prefix: str = "", *, limit: int = 1000) -> Sequence[Entry]:
        """The entries of one moment."""
        _check_names(namespace=namespace)
        _check_text("prefix", prefix)

        def query(connection: sqlite3.Connection) -> builtins.list[Entry]:
            return list_entries(connection, (namespace, prefix), self._clock.now(), limit)

        return await self._database.read(query, [])

    async def aclose(self) -> None:
        """Finish the writes and readings under way, then close the file."""
        await self._database.aclose()


def _check_names(**names: str) -> None:
    for what, name in names.items():
        _check_text(what, name)
        if not 1 <= len(name) <= LONGEST_NAME:
            raise UsageError(f"A memory {what} has 1 to {LONGEST_NAME} characters; this one has {len(name)}.")


def _check_text(what: str, text: object) -> None:
    if not isinstance(text, str):
        raise UsageError(f"A memory {what} is a text; this one is a {type(text).__name__}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"The memory {what} {text!r} holds half of a surrogate pair.") from error
