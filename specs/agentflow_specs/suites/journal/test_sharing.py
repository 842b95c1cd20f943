"""Sharing: workers on several machines tell by the journal who still works, and what is asked of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.contracts.journal import Request
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.abilities import sharing_of, store_of

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio


@requirement(
    "JOURNAL-85",
    "MUST",
    needs="shared-runs",
    reason="Runs are taken from owners that are gone, and from no others.",
    advice="The end of a lease is the end of its session or of its time; a name that nobody acquired is not alive.",
)
async def test_owners_are_alive_until_they_release(journal: Journal, harness: Harness) -> None:
    """Says of each owner whether it works, to itself and to others: from `acquire` to the first `release`."""
    async with store_of(harness).attach(store_of(harness).place(journal)) as other:
        mine, theirs = sharing_of(journal).leases, sharing_of(other).leases
        await mine.release()
        first, second = await mine.acquire(), await theirs.acquire()
        assert first != second
        for leases in (mine, theirs):
            assert set(await leases.alive([first, second, "1-nobody", ""])) == {first, second}
            assert list(await leases.alive([])) == []
        await mine.release()
        await mine.release()
        for leases in (mine, theirs):
            assert set(await leases.alive([first, second])) == {second}
        third = await mine.acquire()
        assert third != first
        assert set(await theirs.alive([first, second, third])) == {second, third}
        await mine.release()
        await theirs.release()


@requirement(
    "JOURNAL-86",
    "MUST",
    needs="shared-runs",
    reason="A cancellation or an approval must reach the run, whoever works on it, once and in order.",
    advice="Order by a number that the store gives; a request stays until it is removed.",
)
async def test_requests_wait_for_the_owner_of_their_run(journal: Journal, harness: Harness) -> None:
    """Keeps what others ask of a run, the oldest first, until it is removed; other runs see nothing of it."""
    async with store_of(harness).attach(store_of(harness).place(journal)) as other:
        mine, theirs = sharing_of(journal).inbox, sharing_of(other).inbox
        for number in range(12):
            await theirs.leave("r", Request("signal", f"id-{number}", "approved", {"č\x00": [number]}))
        await theirs.leave("s", Request("cancel", "stop"))
        found = list(await mine.find("r"))
        assert [request.id for request in found] == [f"id-{number}" for number in range(12)]
        assert [request.value for request in found] == [{"č\x00": [number]} for number in range(12)]
        assert {(request.kind, request.name) for request in found} == {("signal", "approved")}
        for request in (found[0], found[5], found[0]):
            await mine.remove("r", request)
        left = [request.id for request in found if request.id not in {"id-0", "id-5"}]
        assert [request.id for request in await theirs.find("r")] == left
        assert [(request.kind, request.id) for request in await mine.find("s")] == [("cancel", "stop")]
        assert list(await mine.find("nobody")) == []


@requirement(
    "JOURNAL-87",
    "MUST",
    needs="shared-runs",
    reason="An owner looks each second whether anything was asked; it must not read every run for that.",
    advice="Name a run rather once too often than not at all.",
)
async def test_runs_with_new_requests_are_named(journal: Journal, harness: Harness) -> None:
    """Names the runs that were asked for something since the last look, and all with requests after `forget`."""
    async with store_of(harness).attach(store_of(harness).place(journal)) as other:
        mine, theirs = sharing_of(journal).inbox, sharing_of(other).inbox
        await theirs.leave("early", Request("cancel", "1"))
        mine.forget()
        assert "early" in await mine.changed()
        await theirs.leave("late", Request("cancel", "2"))
        assert "late" in await mine.changed()
        mine.forget()
        assert {"early", "late"} <= set(await mine.changed())
