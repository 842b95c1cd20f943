"""Crash points: a process that ends before or after any durable operation; the next one finishes as if nothing was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from simulated_flows import FLOWS, send_signals, signalled

from agentflow_kernel import Kernel
from agentflow_kernel.contracts.journal import compacted_to
from agentflow_kernel.run.history_limits import Limits
from agentflow_kernel.testing import simulate_kernel, try_crash_points, try_crash_points_of
from agentflow_kernel.testing.simulation import differences

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow_kernel.testing import World

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


@pytest.mark.parametrize("name", FLOWS)
def test_every_crash_point_of_a_flow_is_survived(name: str) -> None:
    """Same result, same effects, none lost, doubled only what was in flight, whole histories."""
    points = try_crash_points(FLOWS[name], 3)
    points.check()
    assert points.tried == 2 * points.undisturbed.operations >= 6


def test_every_crash_point_of_a_run_with_signals_is_survived() -> None:
    points = try_crash_points_of(lambda faults: simulate_kernel(signalled, send_signals, faults=faults))
    points.check()
    assert points.undisturbed.result == [True, 3]


def shortened(name: str) -> tuple[Callable[[World], Kernel], Callable[[Kernel], Awaitable[object]]]:
    """A kernel whose runs delete what lies before each of their many snapshots, and a run of a flow in it."""

    def build(world: World) -> Kernel:
        kernel = Kernel(limits=Limits(snapshot_records=3, compact=True))
        kernel.add(FLOWS[name](world))
        return kernel

    async def scenario(kernel: Kernel) -> object:
        return await kernel.run(f"flow/{name}", 3, key="one")

    return build, scenario


@pytest.mark.parametrize("name", FLOWS)
def test_every_crash_point_of_a_run_that_is_shortened_is_survived(name: str) -> None:
    """The deletion is a durable operation like any other, and may be lost with its process."""
    build, scenario = shortened(name)
    try_crash_points_of(lambda faults: simulate_kernel(build, scenario, faults=faults)).check()


@pytest.mark.parametrize("name", ["loop", "stateful", "large", "substeps"])
def test_a_run_that_is_shortened_survives_every_fault_of_the_disk(name: str) -> None:
    """Batches that are lost or torn, disks that are slow, full or fail, a second owner; and it is short at its end."""
    build, scenario = shortened(name)
    faults = ("crash", "lost-batch", "torn-tail", "eio", "fsync", "disk-full", "slow-disk", "second-owner")
    undisturbed = simulate_kernel(build, scenario)
    short = 0
    for seed in range(40):
        simulation = simulate_kernel(build, scenario, seed=seed, faults=faults)
        assert differences(undisturbed, simulation) == [], seed
        short += compacted_to(simulation.records) > 0
    assert short > 20


def test_the_flows_write_every_type_of_record_that_a_run_writes() -> None:
    """Except for requests from outside; what no flow writes would not be tried."""
    found = {record.type for build in FLOWS.values() for record in try_crash_points(build, 3).undisturbed.records}
    found |= {record.type for record in simulate_kernel(signalled, send_signals).records}
    assert found >= {
        "run.started", "step.intent", "step.completed", "step.failed", "decision", "timer.set", "timer.fired",
        "signal.received", "signal.consumed", "wait.opened", "wait.resolved", "patch", "event.emitted",
        "event.published", "run.ended",
    }  # fmt: skip
