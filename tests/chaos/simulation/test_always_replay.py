"""Always replay: a flow that forgets everything after each of its records ends as one that remembers."""

from __future__ import annotations

import pytest
from flows import CASES
from simulated_flows import FLOWS
from test_simulation_cases import ALONE, end_of, play

from agentflow_kernel.testing import always_replay, simulate

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_that_forgets_after_each_record_ends_as_one_that_remembers(name: str) -> None:
    """Same result, same effects; each record that a run can be resumed after is followed by a new owner."""
    remembering = simulate(FLOWS[name], 3)
    with always_replay():
        forgetting = simulate(FLOWS[name], 3)
    assert (forgetting.status, forgetting.result) == (remembering.status, remembering.result)
    assert forgetting.effects == remembering.effects
    assert not forgetting.audit.lost
    steps = sum(record.type == "step.completed" for record in remembering.records)
    leases = sum(record.type == "lease" for record in forgetting.records)
    assert leases >= min(steps, 1)
    assert max(record.epoch for record in forgetting.records) == leases + 1


@pytest.mark.parametrize("name", ALONE)
def test_a_feature_flow_ends_as_it_must_although_it_forgets(name: str) -> None:
    case = CASES[name]
    with always_replay():
        simulation, paths = play(case, 1, ())
    assert end_of(simulation) == case.ends[0]
    assert case.effects <= paths


def test_outside_the_mode_nothing_is_broken_off() -> None:
    with always_replay():
        pass
    assert all(record.epoch == 1 for record in simulate(FLOWS["linear"], 3).records)
