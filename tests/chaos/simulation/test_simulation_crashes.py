"""Crash points: a process that ends before or after any durable operation; the next one finishes as if nothing was."""

from __future__ import annotations

import pytest
from simulated_flows import FLOWS, send_signals, signalled

from agentflow_kernel.testing import simulate_kernel, try_crash_points, try_crash_points_of

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


def test_the_flows_write_every_type_of_record_that_a_run_writes() -> None:
    """Except for requests from outside; what no flow writes would not be tried."""
    found = {record.type for build in FLOWS.values() for record in try_crash_points(build, 3).undisturbed.records}
    found |= {record.type for record in simulate_kernel(signalled, send_signals).records}
    assert found >= {
        "run.started", "step.intent", "step.completed", "step.failed", "decision", "timer.set", "timer.fired",
        "signal.received", "signal.consumed", "wait.opened", "wait.resolved", "patch", "event.emitted",
        "event.published", "run.ended",
    }  # fmt: skip
