"""A fault: what an error of SQLite means for the caller, as an error of the framework."""

from __future__ import annotations

import sqlite3

from agentflow_kernel.errors import StorageUnavailable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.errors import AgentFlowError, Executed

LOCKED = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))
DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
ADVICE = {
    sqlite3.SQLITE_FULL: "The disk is full: free some space, then try again.",
    sqlite3.SQLITE_IOERR: "The disk gave an input/output error: check it and its mount, then try again.",
    sqlite3.SQLITE_CANTOPEN: "It cannot be opened: check that the folder exists and that its permissions allow it.",
    sqlite3.SQLITE_PERM: "Its permissions do not allow this.",
    sqlite3.SQLITE_READONLY: "It may only be read: check the permissions of the file and of its folder.",
    sqlite3.SQLITE_NOMEM: "There is not enough memory.",
}
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What a call of sqlite3 raises; the second when its own message quotes damaged text."""
ENVIRONMENT = LOCKED | DAMAGED | frozenset(ADVICE)
"""Codes that have nothing to do with what was to be written: whoever comes next meets them too."""


def primary_code(error: BaseException) -> int:
    """The primary result code of SQLite, 0 where the error has none."""
    if isinstance(error, UnicodeDecodeError):
        return sqlite3.SQLITE_CORRUPT
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def is_damage(error: BaseException) -> bool:
    """Whether the file itself is damaged, as far as SQLite can tell."""
    return primary_code(error) in DAMAGED


def to_fault(error: BaseException, path: str, executed: Executed = "no") -> AgentFlowError:
    """The typed error for what happened to the file at ``path``, with the advice what to do."""
    code = primary_code(error)
    name: str = getattr(error, "sqlite_errorname", type(error).__name__)
    if code == sqlite3.SQLITE_NOTADB:
        return UsageError(
            f"The file {path!r} is not an SQLite database, or its first page is damaged. "
            "Name another file in the setting 'path', or put back a copy of it."
        )
    if code in LOCKED:
        advice = "Another process keeps it locked: let that one finish, or raise the setting 'busy_timeout_s'."
    elif is_damage(error):
        advice = "It is damaged: stop its writers, keep a copy, and put back a backup or use the .recover of sqlite3."
    else:
        advice = ADVICE.get(code, f"SQLite says: {error}.")
    return StorageUnavailable(f"Storage {path!r} is not available. {advice} [{name}]", executed=executed)
