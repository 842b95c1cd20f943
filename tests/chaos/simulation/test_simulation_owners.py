"""Two owners of one journal: one that stood still while another took over writes nothing any more."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from simulated_flows import FLOWS, send_signals, signalled

from agentflow_kernel import Context, Flow
from agentflow_kernel.contracts.journal import Record, chain_hash, encode_record
from agentflow_kernel.inprocess.journal import InProcessJournal
from agentflow_kernel.testing import differences, simulate, simulate_kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

SEEDS = 150 if os.environ.get("AGENTFLOW_CHAOS", "short") == "long" else 5
WITH = (("second-owner",), ("second-owner", "crash", "torn-tail", "slow-disk", "eio", "fsync"))


def told(trace: bytes) -> Counter[str]:
    """How often each of the events of a second owner is in a trace."""
    return Counter({event: trace.count(event.encode()) for event in ("process.paused", "write.refused")})


@pytest.mark.parametrize("faults", WITH, ids=["alone", "and crashes"])
def test_what_the_first_owner_writes_late_is_refused_and_every_run_ends_as_it_must(faults: tuple[str, ...]) -> None:
    """Same result and effects; epochs never go down; an effect is there twice only where it was in flight."""
    found: Counter[str] = Counter()
    for build in FLOWS.values():
        undisturbed = simulate(build, 3)
        for seed in range(SEEDS):
            simulation = simulate(build, 3, seed=seed, faults=faults)
            assert differences(undisturbed, simulation) == []
            found += told(simulation.trace)
    assert found["process.paused"] >= SEEDS * len(FLOWS) / 4
    assert found["write.refused"] >= SEEDS


@pytest.mark.parametrize("faults", WITH, ids=["alone", "and crashes"])
def test_a_kernel_with_signals_is_taken_over(faults: tuple[str, ...]) -> None:
    undisturbed = simulate_kernel(signalled, send_signals)
    for seed in range(SEEDS):
        simulation = simulate_kernel(signalled, send_signals, seed=seed, faults=faults)
        assert differences(undisturbed, simulation) == []


def test_a_second_owner_is_the_same_in_every_simulation_of_its_seed() -> None:
    first, again = (simulate(FLOWS["linear"], 3, seed=2, faults=["second-owner"]) for _ in range(2))
    assert told(first.trace)["process.paused"]
    assert first == again


def test_a_journal_that_takes_late_writes_is_found_by_its_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What must fail fails: without fencing there are records of the first owner after those of the second."""
    append = InProcessJournal.append_inline

    def never_fenced(
        self: InProcessJournal, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]
    ) -> None:
        encoded = self._records.get(run_id, [])
        if expected_seq == len(encoded):
            append(self, run_id, expected_seq, epoch, records)
            return
        for late in records:  # as a journal that only adds to a file
            place, previous = len(encoded), chain_hash(encoded[-1])
            record = Record(run_id, place, late.type, late.path, late.payload, epoch, prev_hash=previous)
            encoded.append(encode_record(record))

    monkeypatch.setattr(InProcessJournal, "append_inline", never_fenced)
    problems = [
        problem
        for seed in range(8)
        for problem in simulate(FLOWS["linear"], 3, seed=seed, faults=["second-owner"]).violations
    ]
    assert any("is of epoch 1, after one of epoch 2" in problem for problem in problems)


@pytest.mark.blocking("plain functions run on the spot in a simulation, their files too")
def test_a_run_has_a_folder_that_outlasts_its_processes_and_not_its_simulation() -> None:
    """Each simulation begins with none; its files are real."""
    folders: list[str] = []

    def write(value: int, context: Context) -> str:
        folders.append(context.folder)
        Path(context.folder, "note.txt").write_text(str(value), encoding="utf-8")
        return context.folder

    def read(folder: Any, context: Context) -> str:
        assert folder == context.folder
        return Path(folder, "note.txt").read_text(encoding="utf-8")

    flow = Flow("files").step(write).step(read)
    undisturbed = simulate(flow, 7)
    assert undisturbed.result == "7"
    crashed = [simulate(flow, 7, seed=seed, faults=["crash"]) for seed in range(6)]
    assert any(simulation.crashes for simulation in crashed)
    assert [simulation.result for simulation in crashed] == ["7"] * 6
    assert not any(os.path.exists(folder) for folder in folders)
