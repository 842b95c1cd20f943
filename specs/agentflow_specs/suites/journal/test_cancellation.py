"""Cancellation: an append that is called off has happened or not, never in part, and nothing stays blocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.errors import UnknownRun
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal

pytestmark = pytest.mark.anyio

MOMENTS = 25
PATIENCE_S = 30.0
"""How long a journal may take for what it does next after a cancellation."""


async def end_of(journal: Journal, run_id: str) -> int:
    """Where the next append of a run goes."""
    try:
        return (await journal.head(run_id)).next_seq
    except UnknownRun:
        return 0


@requirement(
    "JOURNAL-60",
    "MUST",
    reason="Ctrl-C, timeouts and losing branches cancel appends at every moment.",
    advice="Shield what has begun until it has ended, or undo all of it; release locks on every way out.",
)
async def test_a_cancelled_append_happened_or_not(journal: Journal) -> None:
    """Leaves after a cancelled append the whole batch or nothing, whenever it was cancelled; the next append works."""
    for moment in range(MOMENTS):
        author = Author(f"r{moment}")
        async with anyio.create_task_group() as group:
            group.start_soon(author.append, journal, 1, 2, 3)
            for _ in range(moment):
                await checkpoint()
            group.cancel_scope.cancel()
        with anyio.fail_after(PATIENCE_S):
            end = await end_of(journal, author.run_id)
            assert end in {0, 3}
            assert len(await journal.read(author.run_id)) == end
            following = Author(author.run_id)
            if end:
                following.write(1, 2, 3)
            await following.append(journal, "next")
            assert await end_of(journal, author.run_id) == end + 1


@requirement(
    "JOURNAL-61",
    "MUST",
    reason="Many runs share a transaction; one that is cancelled must not take the others with it.",
    advice="Another task takes over when the one that leads a group is cancelled.",
)
async def test_a_cancelled_append_harms_nobody_else(journal: Journal) -> None:
    """Carries out the appends of others that came together with a cancelled one, whenever it was cancelled."""
    for moment in range(MOMENTS):
        authors = [Author(f"{moment}-{number}") for number in range(6)]
        scopes = [anyio.CancelScope() for _ in authors]

        async def work(author: Author, scope: anyio.CancelScope) -> None:
            with scope:
                await author.append(journal, 1, 2)

        async with anyio.create_task_group() as group:
            for author, scope in zip(authors, scopes, strict=True):
                group.start_soon(work, author, scope)
            for _ in range(moment % 12):
                await checkpoint()
            for scope in scopes[:: 2 if moment % 2 else 5]:
                scope.cancel()
        for author, scope in zip(authors, scopes, strict=True):
            assert await end_of(journal, author.run_id) in ({0, 2} if scope.cancel_called else {2})


@requirement(
    "JOURNAL-62",
    "MUST",
    reason="A scope that is over starts nothing; else a stopped run would still change its history.",
    advice="Call checkpoint_if_cancelled first, where the append itself does not wait.",
)
async def test_an_append_of_a_cancelled_scope_is_whole_or_absent(journal: Journal) -> None:
    """Leaves nothing in part where the scope was cancelled before the call, and goes on afterwards."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await Author("r").append(journal, 1, 2)
    assert await end_of(journal, "r") in {0, 2}
    with anyio.fail_after(PATIENCE_S):
        await Author("s").append(journal)
    assert await end_of(journal, "s") == 1


@requirement(
    "JOURNAL-63",
    "MUST",
    reason="A reader that went away must not hold a connection, a snapshot or a lock.",
    advice="Give back what was taken in a finally, shielded where that awaits.",
)
async def test_cancelled_readings_leave_nothing_behind(journal: Journal) -> None:
    """Reads and writes as before after many readings were cancelled at every moment."""
    await Author("r").append(journal, *range(50))
    ref = await journal.put_blob(b"data" * 1000)
    for moment in range(MOMENTS):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.read, "r")
            group.start_soon(journal.get_blob, ref)
            group.start_soon(journal.runs)
            for _ in range(moment % 8):
                await checkpoint()
            group.cancel_scope.cancel()
    with anyio.fail_after(PATIENCE_S):
        assert len(await journal.read("r")) == 50
    assert await journal.get_blob(ref) == b"data" * 1000
    await Author("s").append(journal)
