"""The auditor finds what it is there for: each equation fails where it is broken, and nowhere else."""

from __future__ import annotations

import pytest

from agentflow_kernel.contracts.journal import Record, chain_hash, encode_record
from agentflow_kernel.errors import CorruptRecord
from agentflow_kernel.testing import AuditFailed, Auditor, Effect, InProcessJournal, Ledger, find_problems

pytestmark = pytest.mark.anyio

Line = tuple[str, str, object, int]


def history(*lines: Line, run_id: str = "r1") -> list[Record]:
    """A chained history: type, path, payload and epoch of each record."""
    records: list[Record] = []
    for seq, (kind, path, payload, epoch) in enumerate(lines):
        previous = chain_hash(encode_record(records[-1])) if records else ""
        records.append(Record(run_id, seq, kind, path, payload, epoch, prev_hash=previous))
    return records


STARTED: Line = ("run.started", "", {"name": "flow/x"}, 1)
DONE: Line = ("step.completed", "a", {"result": 1}, 1)
ENDED: Line = ("run.ended", "", {"status": "completed"}, 1)


async def journal_of(*histories: list[Record]) -> InProcessJournal:
    journal = InProcessJournal()
    for records in histories:
        for record in records:  # each by itself, as epochs may differ
            await journal.append(record.run_id, record.seq, record.epoch, [record])
    return journal


def effect(process: int, key: str = "k", attempt: int = 1, path: str = "a") -> Effect:
    return Effect(key, "r1", path, process, attempt)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ((STARTED, ENDED), ""),
        ((STARTED, DONE, ("lease", "", {}, 2), ("step.completed", "b", {}, 2)), ""),
        ((DONE,), "begins with step.completed"),
        ((STARTED, ("lease", "", {}, 2), DONE), "of epoch 1, after one of epoch 2"),
        ((STARTED, ENDED, DONE), "is its end, 1 come after it"),
        ((STARTED, ENDED, ENDED), "run.ended of '' is on record twice"),
        ((STARTED, DONE, DONE), "step.completed of 'a' is on record twice"),
        ((STARTED, ("event.published", "", {"ids": ["r1/9"]}, 1)), "event r1/9 was published and never emitted"),
        ((STARTED, ("event.emitted", "", {}, 1), ("event.published", "", {"ids": ["r1/1"]}, 1)), ""),
    ],
)
async def test_find_problems_names_what_is_wrong_with_a_history(lines: tuple[Line, ...], problem: str) -> None:
    problems = find_problems(history(*lines))
    assert any(problem in found for found in problems) if problem else problems == []


async def test_find_problems_sees_a_gap_and_a_broken_chain() -> None:
    first, _, third = history(STARTED, DONE, ENDED)
    assert find_problems([first, third]) == ["record 1 has the number 2", "the chain is broken at record 1"]
    other = history(STARTED, ("step.completed", "a", {"result": 2}, 1))[1]
    assert find_problems([first, other, third]) == ["the chain is broken at record 2"]


async def test_a_run_that_was_accepted_and_is_nowhere_is_lost() -> None:
    auditor = Auditor()
    auditor.accept("r1")
    auditor.accept("r2")
    audit = await auditor.audit(await journal_of(history(STARTED, ENDED)))
    assert (audit.lost, audit.statuses) == (("r2",), {"completed": 1, "lost": 1})
    with pytest.raises(AuditFailed, match="run r2 was accepted and is nowhere"):
        audit.check()


async def test_a_run_that_was_put_aside_is_accounted_for() -> None:
    auditor = Auditor()
    auditor.put_aside("r2")
    audit = await auditor.audit(InProcessJournal())
    audit.check()
    assert audit.statuses == {"dead_lettered": 1}


async def test_at_rest_no_run_is_in_flight() -> None:
    auditor = Auditor()
    auditor.accept("r1")
    journal = await journal_of(history(STARTED, DONE))
    assert (await auditor.audit(journal, at_rest=False)).ok
    assert (await auditor.audit(journal)).violations == ("run r1 is running although nothing works any more",)


async def test_a_corrupt_history_is_quarantined_and_told() -> None:
    class Damaged(InProcessJournal):
        async def read(self, run_id, from_seq=0):
            raise CorruptRecord(run_id, 0, "the check sum does not match")

    auditor = Auditor()
    auditor.accept("r1")
    audit = await auditor.audit(Damaged())
    assert audit.statuses == {"quarantined": 1}
    assert "check sum" in audit.violations[0]


async def test_an_expected_effect_that_is_missing_is_told() -> None:
    audit = await Auditor(Ledger([effect(1)])).audit(InProcessJournal(), expected=["k", "other"])
    assert (audit.missing, audit.violations) == (("other",), ("effect other is missing",))


async def test_an_effect_in_flight_at_a_crash_may_be_there_twice() -> None:
    auditor = Auditor()
    auditor.ledger.add(effect(1))
    await auditor.crashed(await journal_of(history(STARTED)), 1)
    auditor.ledger.add(effect(2))
    audit = await auditor.audit(await journal_of(history(STARTED, ENDED)))
    assert (audit.doubled, audit.violations) == (1, ())


async def test_an_effect_on_record_at_the_crash_may_not_be_repeated() -> None:
    auditor = Auditor()
    auditor.ledger.add(effect(1))
    await auditor.crashed(await journal_of(history(STARTED, DONE)), 1)
    auditor.ledger.add(effect(2))
    audit = await auditor.audit(InProcessJournal())
    assert "is doubled by process 2: it was on record when process 1 crashed" in audit.violations[0]


@pytest.mark.parametrize("second", [1, 2])
async def test_an_effect_repeated_without_a_crash_is_told(second: int) -> None:
    audit = await Auditor(Ledger([effect(1), effect(second)])).audit(InProcessJournal())
    assert "nothing broke off what process 1 did before" in audit.violations[0]


async def test_an_effect_before_the_crash_does_not_explain_two_after_it() -> None:
    auditor = Auditor()
    auditor.ledger.add(effect(1))
    await auditor.crashed(InProcessJournal(), 1)
    auditor.ledger.add(effect(2))
    auditor.ledger.add(effect(2))
    audit = await auditor.audit(InProcessJournal())
    assert (audit.doubled, len(audit.violations)) == (2, 1)


async def test_a_run_broken_off_by_its_storage_may_repeat_what_was_in_flight_in_the_same_process() -> None:
    auditor = Auditor()
    auditor.ledger.add(effect(1))
    await auditor.crashed(await journal_of(history(STARTED)), 1, run_id="r1")
    auditor.ledger.add(effect(1))
    audit = await auditor.audit(InProcessJournal())
    assert (audit.doubled, audit.crashes, audit.violations) == (1, 0, ())


async def test_an_attempt_of_a_retry_policy_is_no_doubling() -> None:
    audit = await Auditor(Ledger([effect(1), effect(1, attempt=2)])).audit(InProcessJournal())
    assert (audit.doubled, audit.ok) == (0, True)


async def test_a_sink_that_honours_keys_has_nothing_twice() -> None:
    auditor = Auditor(Ledger([effect(1), effect(2)]))
    await auditor.crashed(InProcessJournal(), 1)
    assert (await auditor.audit(InProcessJournal())).ok
    audit = await auditor.audit(InProcessJournal(), honours_keys=True)
    assert "the sink honours keys" in audit.violations[0]


async def test_a_ledger_reads_the_lines_of_another_process() -> None:
    ledger = Ledger.from_lines(['{"key": "k", "run": "r1", "path": "a", "pid": 7, "t": 1.5}', b'{"key": "l"}'])
    assert ledger.effects == [Effect("k", "r1", "a", 7, 1, 1.5), Effect("l")]
    assert list(ledger.applied) == ["k", "l"]
