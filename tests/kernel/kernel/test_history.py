"""A history can be read from a point on, and in full."""

from __future__ import annotations

import pytest

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.contracts.journal import INLINE_LIMIT_BYTES
from agentflow_kernel.errors import UnknownRun
from agentflow_kernel.inprocess.journal import InProcessJournal

pytestmark = pytest.mark.anyio


def large(_value):
    return "x" * (INLINE_LIMIT_BYTES + 1)


async def test_payloads_that_are_stored_apart_are_fetched_when_asked_for() -> None:
    """Without that they are references, which is what a list of records needs."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(large))
        await handle.result()
        short = await kernel.history(handle.run_id)
        (apart,) = [record for record in short if record.type == "step.completed"]
        assert apart.ref
        assert apart.payload is None
        whole = await kernel.history(handle.run_id, whole=True)
        (fetched,) = [record for record in whole if record.type == "step.completed"]
        assert len(fetched.payload["result"]) == INLINE_LIMIT_BYTES + 1


async def test_a_history_begins_where_it_is_asked_to() -> None:
    """Nothing after the end is nothing; a run that is not there is an error."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(lambda value: value), 1)
        await handle.result()
        every = await kernel.history(handle.run_id)
        assert [record.seq for record in await kernel.history(handle.run_id, from_seq=1)] == [
            record.seq for record in every[1:]
        ]
        assert await kernel.history(handle.run_id, from_seq=len(every)) == []
        with pytest.raises(UnknownRun):
            await kernel.history("nobody")
