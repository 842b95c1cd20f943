"""A store: one SQLite file, and how it is opened for writing and for reading."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress

from agentflow_kernel.errors import StorageUnavailable, Unsupported, UsageError
from agentflow_sqlite._faults import LOCKED, SQLITE_ERRORS, primary_code, to_fault
from agentflow_sqlite._wal import find_damage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_sqlite._schema import Schema

RETRY_S = 0.005
PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # without it a Mac leaves the last word to the cache of the disk
    "PRAGMA checkpoint_fullfsync = ON",
)


def place_file(path: str | None, context: PluginContext, default: str) -> str:
    """Where the file of a resource lies: ``path`` below the manifest's folder, else ``default`` in the state folder.

    Raises :class:`UsageError` when neither is given.
    """
    if path is not None:
        return os.path.join(context.folder, path)
    if context.state_folder is None:
        raise UsageError(
            f"Resource {context.name!r} has no place for its file {default!r}: there is no state folder. "
            "Give one (--state, or AGENTFLOW_STATE), or give the resource the setting 'path'."
        )
    return os.path.join(context.state_folder, default)


class Store:
    """The file at ``path`` with its schema. Nothing is opened or created before one of its methods is called."""

    __slots__ = ("path", "schema", "busy_timeout_s", "_checked")

    def __init__(self, path: str, schema: Schema, busy_timeout_s: float) -> None:
        self.path = path
        self.schema = schema
        self.busy_timeout_s = busy_timeout_s
        self._checked = False

    def open_writer(self) -> sqlite3.Connection:
        """A connection that may write; file, folder and tables are there when it returns, older tables migrated.

        Raises:
            StorageUnavailable: it cannot be opened now.
            NewerSchema: a newer version wrote it.
            UsageError: it is the file of something else.
        """
        deadline = time.monotonic() + self.busy_timeout_s
        self._make_folder()
        self._check_log()
        while True:
            connection: sqlite3.Connection | None = None
            try:
                connection = self._connect(os.path.abspath(self.path), uri=False)
                self._prepare(connection)
            except BaseException as error:
                if connection is not None:
                    connection.close()
                if not isinstance(error, SQLITE_ERRORS):
                    raise
                # switching a new file to WAL does not wait for the others who do so at the same time
                if primary_code(error) not in LOCKED or time.monotonic() >= deadline:
                    raise to_fault(error, self.path) from error
                time.sleep(RETRY_S)
            else:
                return connection

    def open_reader(self) -> sqlite3.Connection | None:
        """A connection that only reads, or ``None`` where there is nothing to read yet; creates nothing.

        Tables of an older version are migrated first. Raises as :meth:`open_writer`.
        """
        try:
            os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unavailable(f"It cannot be looked at: {error.strerror}.") from error
        self._check_log()
        connection, version = self._connect_to_read()
        if 0 < version < self.schema.version:
            connection.close()
            self.open_writer().close()
            connection, version = self._connect_to_read()
        if version == 0:
            connection.close()
            return None
        return connection

    def _check_log(self) -> None:
        """Refuse a damaged write-ahead log before SQLite has passed over it, once in a process."""
        if self._checked:
            return
        try:
            damage = find_damage(self.path + "-wal")
        except OSError as error:
            raise self._unavailable(f"Its write-ahead log cannot be read: {error.strerror}.") from error
        if damage:
            raise self._unavailable(
                f"Its write-ahead log, {self.path + '-wal'!r}, is damaged: {damage}. Keep a copy of both files, and "
                "put back a backup; or give up what is behind the damage: open it once with the sqlite3 program."
            )
        self._checked = True

    def _connect_to_read(self) -> tuple[sqlite3.Connection, int]:
        try:
            return self._connect_by(_uri(self.path, "ro"))
        except StorageUnavailable as error:
            if not _has_no_room(error.__cause__):
                raise
        # the disk is so full that there is no room for the shared memory, which nobody has made yet: do without
        return self._connect_by(_uri(self.path, "rw"), "PRAGMA locking_mode = EXCLUSIVE")

    def _connect_by(self, uri: str, *pragmas: str) -> tuple[sqlite3.Connection, int]:
        connection: sqlite3.Connection | None = None
        try:
            connection = self._connect(uri, uri=True)
            for pragma in pragmas:
                connection.execute(pragma)
            connection.execute("BEGIN")
            version = self.schema.find_version(connection, self.path)
            connection.execute("COMMIT")
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, SQLITE_ERRORS):
                raise to_fault(error, self.path) from error
            raise
        return connection, version

    def _connect(self, database: str, *, uri: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            database, timeout=self.busy_timeout_s, isolation_level=None, check_same_thread=False, uri=uri
        )
        connection.text_factory = _decode_text
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Refuse a foreign or newer file before anything is changed in it; then set the modes and migrate."""
        connection.execute("BEGIN")
        version = self.schema.find_version(connection, self.path)
        connection.execute("COMMIT")
        for pragma in PRAGMAS:
            connection.execute(pragma)
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise Unsupported(
                f"The {self.schema.noun} file {self.path!r}",
                "its file system offers no shared memory, which readers beside a writer need. Use a local disk.",
            )
        if version < self.schema.version:
            self.schema.migrate(connection, self.path)

    def _make_folder(self) -> None:
        """Create the folder with its parents, and make their names durable."""
        missing = []
        folder = os.path.dirname(os.path.abspath(self.path))
        while not os.path.isdir(folder) and folder != os.path.dirname(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        try:
            for path in reversed(missing):
                with suppress(FileExistsError):
                    os.mkdir(path)
                _sync_folder(os.path.dirname(path))
        except OSError as error:
            raise self._unavailable(f"Its folder cannot be created: {error.strerror}.") from error

    def _unavailable(self, reason: str) -> StorageUnavailable:
        return StorageUnavailable(f"Storage {self.path!r} is not available. {reason}", executed="no")


def _decode_text(data: bytes) -> str:
    """Text as it stands in the file; damaged text must not hide the rows beside it, check sums find it."""
    return data.decode("utf-8", "replace")


def _sync_folder(path: str) -> None:
    if os.name == "nt":  # there a folder cannot be opened, and its entries are durable with the file
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _has_no_room(error: BaseException | None) -> bool:
    """Whether it is the shared memory beside the file that could not be made."""
    return getattr(error, "sqlite_errorname", "") in _NO_ROOM


_NO_ROOM = ("SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_SHMOPEN", "SQLITE_IOERR_SHMMAP")


def is_exclusive(connection: sqlite3.Connection) -> bool:
    """Whether it keeps everybody else out until it is closed."""
    (mode,) = connection.execute("PRAGMA locking_mode").fetchone()
    return bool(mode == "exclusive")


def _uri(path: str, mode: str) -> str:
    """The file as a URI to open in this mode. Source: https://sqlite.org/uri.html, section 3.1 (November 2026)."""
    path = os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    if os.name == "nt":
        path = "/" + path.replace("\\", "/")
    return f"file:{path}?mode={mode}"
