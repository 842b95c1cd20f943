"""A fault: what an error of the server or of the way to it means for the caller, as an error of the framework."""

from __future__ import annotations

import asyncpg

from agentflow_kernel.errors import CredentialRefused, StorageUnavailable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.errors import AgentFlowError, Executed

BROKEN_WAY = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError, EOFError)
"""The driver's internal error comes up where a server shuts down between two messages."""
DRIVER_ERRORS = (asyncpg.PostgresError, *BROKEN_WAY)
"""What a call of asyncpg raises; ``OSError`` holds refused and broken connections."""

PASSING_CLASSES = ("08", "40", "53", "57")
"""SQLSTATE classes that pass by themselves: connection, rollback, resources, operator intervention (shutdown, start).

https://www.postgresql.org/docs/15/errcodes-appendix.html
"""
PASSING = frozenset(("25006", "55P03"))
"""Read-only (a replica that is about to take over) and a lock that was not available."""
REFUSED = frozenset(("28000", "28P01", "42501"))


def sqlstate(error: BaseException) -> str:
    """The code of the server's error, ``""`` where it is none."""
    code: str | None = getattr(error, "sqlstate", None)
    return code or ""


def passes(error: BaseException) -> bool:
    """Whether the same call may succeed when it is made again after a while."""
    code = sqlstate(error)
    if code:
        return code[:2] in PASSING_CLASSES or code in PASSING
    return isinstance(error, BROKEN_WAY)


def to_fault(error: BaseException, place: str, executed: Executed = "no") -> AgentFlowError:
    """The typed error for what happened at ``place``, which names host and database and never the password."""
    code = sqlstate(error)
    if code in REFUSED:
        return CredentialRefused(
            f"The PostgreSQL database {place} refuses this user ({code}: {_first_line(error)}). "
            "Check user, password and rights in the DSN (setting 'dsn', AGENTFLOW_POSTGRES_DSN)."
        )
    if code == "3D000":
        return UsageError(f"There is no PostgreSQL database {place}. Create it, or name another one in the DSN.")
    if code and not passes(error):
        text = f"The PostgreSQL database {place} refused a statement ({code}: {_first_line(error)})."
        return StorageUnavailable(text, executed=executed)
    return StorageUnavailable(
        f"The PostgreSQL database {place} does not answer ({type(error).__name__}: {_first_line(error)}). "
        "Check that the server runs and can be reached; a later attempt goes on.",
        executed=executed,
    )


def _first_line(error: BaseException) -> str:
    """The first line of a message: further ones quote data."""
    return (str(error).splitlines() or [""])[0] or "no further word"
