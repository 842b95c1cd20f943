"""A store: a journal that processes of the chaos tests share, as the word that :mod:`process` takes for it."""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from postgres_server import PostgresServer
from process import open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator

JOURNALS = ("sqlite", "leveldb", "postgres")
"""Those that outlive a process."""
LEASE_S = 1.0
"""How long a dead worker keeps its runs where the journal has leases; the least that it takes.

One that lives, on a machine that stands still for as long, loses them as well.
"""
LISTED = 1_000_000


def installed() -> list[str]:
    """Those of this installation."""
    names = {entry.name for entry in entry_points(group="agentflow.journals")}
    return [name for name in JOURNALS if name in names]


@contextmanager
def store(name: str, lease_s: float = LEASE_S) -> Iterator[str]:
    """The word for an empty journal of this plugin, with leases of that length if it has any.

    Skips the test where it needs a server that is not there.
    """
    if name != "postgres":
        yield name
        return
    server = PostgresServer()
    server.open()
    try:
        yield f"postgres:{json.dumps(settings_of(server, lease_s))}"
    finally:
        server.close()


def settings_of(server: PostgresServer, lease_s: float) -> dict[str, object]:
    """Settings of a journal that no other test uses."""
    return {"dsn": server.dsn, "schema": f"chaos_{secrets.token_hex(6)}", "lease_s": lease_s}


async def nobody_works(word: str, state: str) -> bool:
    """Whether no owner of an open run is taken for alive."""
    journal = open_journal(word, state)
    try:
        leases = getattr(journal, "leases", None)
        owners = {info.owner for info in await journal.runs(limit=LISTED)}
        return leases is None or not await leases.alive(owners)
    finally:
        await journal.aclose()
