"""Simulation of the feature flows of the chaos tests: seeds with every fault of storage, for all that work alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from flows import CASES
from flows import World as Outside

from agentflow_kernel import Kernel
from agentflow_kernel.testing import Effect, simulate_kernel

if TYPE_CHECKING:
    from flows import Case

    from agentflow_kernel.testing import Simulation, World

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


RACES = ("fork_any_wait", "plan_rings", "late_run")
"""The first one wins, and a slow disk or a clock that jumps may well make it another one, a limit before a step say."""


def works_alone(case: Case) -> bool:
    """Whether nobody outside has to do anything, and no process repeats an effect by itself."""
    others = case.sends or case.event or case.others or case.copy or case.manifest
    return not (others or case.resumes or case.retried or case.name in RACES)


ALONE = [name for name, case in CASES.items() if works_alone(case)]
SEEDS = 2000 // len(ALONE) + 1 if os.environ.get("AGENTFLOW_CHAOS", "short") == "long" else 3
STORAGE = ("crash", "lost-batch", "torn-tail", "slow-disk", "eio", "fsync", "disk-full", "clock-jump")


def play(case: Case, seed: int, faults: tuple[str, ...]) -> tuple[Simulation, set[str]]:
    """One simulation of a case, and the paths of the effects it has had."""
    answers: dict[str, int] = {}
    paths: set[str] = set()

    def build(world: World) -> Kernel:
        def note(run_id: str, path: str, key: str) -> None:
            world.ledger.add(Effect(key, run_id, path, world.process))
            paths.add(path)

        outside = Outside(note, answers)
        kernel = Kernel(memories={"notes": world.memory("notes")})
        target = case.build(outside)
        kernel.add(target)
        targets[kernel] = target
        return kernel

    targets: dict[Kernel, Any] = {}

    async def scenario(kernel: Kernel) -> object:
        return await kernel.run(targets[kernel], case.input, key="one")

    return simulate_kernel(build, scenario, seed=seed, faults=faults), paths


def end_of(simulation: Simulation) -> tuple[str, Any]:
    """How it ended: status, and output or code."""
    if simulation.status == "stuck":
        return "stuck", "AF-NON-DETERMINISM"
    if simulation.status == "completed":
        return "completed", simulation.result
    return simulation.status, simulation.error.partition(":")[0]


@pytest.mark.parametrize("name", ALONE)
def test_no_fault_of_storage_changes_what_a_flow_does(name: str) -> None:
    """It ends as it does undisturbed, or as only an effect of unknown outcome can make it end; no effect is missing."""
    case = CASES[name]
    undisturbed, _ = play(case, 0, ())
    undisturbed.check()
    assert end_of(undisturbed) == case.ends[0]
    for seed in range(SEEDS):
        simulation, paths = play(case, seed, STORAGE)
        simulation.check()
        assert end_of(simulation) in case.ends, f"seed {seed}: {simulation.error}"
        if end_of(simulation) == case.ends[0]:
            assert case.effects <= paths, f"seed {seed}"
