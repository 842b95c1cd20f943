"""A process that dies at any durable operation: the next one finishes the run as if nothing had happened."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from engine_kit import DurableJournal, Effects, ProcessDied, check_history, completed, payload_of
from zoo import ZOO

from agentflow_kernel import Kernel
from agentflow_kernel.errors import RunError, RunSuspended, StorageUnavailable

if TYPE_CHECKING:
    from agentflow_kernel import Progress
    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.testing import InProcessJournal

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

KEY = "one"
"""The run has the same id in every process, so that whoever comes next finds it."""


class Life:
    """One process: a kernel over a journal, until it ends or dies."""

    def __init__(self, journal: DurableJournal, effects: Effects) -> None:
        self.journal = journal
        self.effects = effects
        self.published: list[tuple[str, str]] = []

    async def live(self, build: Any) -> Any:
        """Start the run or go on with it; the output, or ``None`` when this process died."""
        self.effects.journal = self.journal
        flow, value = build(self.effects)
        try:
            async with Kernel(journal=self.journal) as kernel:
                kernel.listen(self._hear)
                handle = await kernel.start(flow, value, key=KEY)
                return await handle.result()
        except (ProcessDied, RunError):
            if not self.journal.dead:
                raise
            return None

    def _hear(self, progress: Progress) -> None:
        if progress.name == "event.emitted" and not self.journal.dead:
            self.published.append((str(progress.fields["id"]), str(progress.fields["type"])))


async def undisturbed(build: Any) -> tuple[Any, DurableJournal, Effects]:
    """What the run gives when nobody dies, on how many durable operations, and with which effects."""
    journal, effects = DurableJournal(), Effects()
    output = await Life(journal, effects).live(build)
    return output, journal, effects


async def records_of(survivor: InProcessJournal) -> list[Record]:
    """The history of the only run, empty when none was started."""
    heads = await survivor.runs()
    assert len(heads) <= 1
    return list(await survivor.read(heads[0].run_id)) if heads else []


async def events_in(survivor: InProcessJournal, records: list[Record]) -> dict[str, Any]:
    """The emitted events on record by their ids, each as its path, type and data."""
    found = {}
    for record in records:
        if record.type == "event.emitted":
            payload = await payload_of(survivor, record)
            found[f"{record.run_id}/{record.seq}"] = (record.path, payload["type"], str(payload["data"]))
    return found


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ZOO)
async def test_a_run_survives_a_death_at_each_of_its_durable_operations(name: str, applied: bool) -> None:
    """Same output, no completed step again, one end, stable event ids, each event out at least once."""
    build = ZOO[name]
    expected, reference, once = await undisturbed(build)
    events = sorted((await events_in(reference.survivor, await records_of(reference.survivor))).values())
    assert reference.operations >= 4
    for moment in range(1, reference.operations + 1):
        first = Life(DurableJournal(dies_at=moment, applied=applied), Effects())
        assert await first.live(build) is None
        survivor = first.journal.survivor
        done = set(completed(await records_of(survivor)))

        second = Life(DurableJournal(survivor), Effects())
        assert await second.live(build) == expected, f"died at operation {moment}"

        records = await records_of(survivor)
        check_history(records)
        assert records[-1].type == "run.ended"
        assert not done & set(second.effects.paths), f"ran again after the death at operation {moment}"
        assert Counter(completed(records)).most_common(1)[0][1] == 1
        assert set(first.effects.paths) | set(second.effects.paths) == set(once.paths)
        on_record = await events_in(survivor, records)
        assert sorted(on_record.values()) == events
        published = dict([*first.published, *second.published])
        assert published == {event_id: kind for event_id, (_, kind, _) in on_record.items()}


@pytest.mark.parametrize("name", ["batch", "nested", "agent", "emitting"])
async def test_a_run_survives_a_death_in_each_of_its_lives(name: str) -> None:
    """Every process manages only a few operations; the run ends all the same, and nothing is done twice."""
    build = ZOO[name]
    expected, reference, once = await undisturbed(build)
    survivor = None
    done: set[str] = set()
    effects: list[str] = []
    for life in range(200):
        process = Life(DurableJournal(survivor, dies_at=3, applied=life % 2 == 0), Effects())
        output = await process.live(build)
        survivor = process.journal.survivor
        assert not done & set(process.effects.paths)
        done = set(completed(await records_of(survivor)))
        effects += process.effects.paths
        if not process.journal.dead:
            break
    assert output == expected
    assert set(effects) == set(once.paths)
    check_history(await records_of(survivor))
    assert life > reference.operations // 4


@pytest.mark.parametrize("name", ZOO)
async def test_a_full_disk_suspends_the_run_and_the_same_kernel_resumes_it(name: str) -> None:
    """At any durable operation: nothing is lost, and no new process is needed once there is room."""
    build = ZOO[name]
    expected, reference, once = await undisturbed(build)
    for moment in range(2, reference.operations + 1):
        journal, effects = DurableJournal(full_at=moment), Effects()
        flow, value = build(effects)
        async with Kernel(journal=journal) as kernel:
            try:
                handle = await kernel.start(flow, value, key=KEY)
            except StorageUnavailable:  # a large input is stored first: nothing was started, and that was said
                assert (name, moment) == ("large", 2)
                continue
            with pytest.raises(RunSuspended, match=r"is suspended: (The disk is full|Run .* append at)"):
                await handle.result()
            (head,) = await kernel.runs()
            assert head.status == "suspended"
            assert await (await kernel.resume(handle.run_id)).result() == expected
        check_history(await records_of(journal.survivor))
        assert set(effects.paths) == set(once.paths)
