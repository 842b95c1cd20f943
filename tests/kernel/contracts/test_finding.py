"""A finding says what, where and under which code."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import Finding, PlanFinding
from agentflow_kernel.errors import PlanInvalid, PlanLoopError


def test_a_finding_ends_in_its_code() -> None:
    finding = Finding("F001", "there is no node", "nodes", 0)

    assert finding == "there is no node [F001]"
    assert (finding.code, finding.where) == ("F001", ("nodes", 0))


def test_the_place_is_a_json_pointer() -> None:
    assert Finding("F001", "x", "a/b", "~", 3).pointer == "/a~1b/~0/3"
    assert Finding("F001", "x").pointer == ""


def test_a_plans_finding_carries_its_step_and_a_suggestion() -> None:
    finding = PlanFinding("P003", "Unknown tool 'fetsh'.", "steps", 2, "name", step="s2", suggestion="Try 'fetch'.")

    assert finding == "Unknown tool 'fetsh'. Try 'fetch'. [P003]"
    assert (finding.step, finding.suggestion, finding.warning) == ("s2", "Try 'fetch'.", False)


def test_an_invalid_plan_shows_all_its_findings() -> None:
    error = PlanInvalid("p", [PlanFinding("P001", "one"), PlanFinding("P002", "two")])

    assert str(error) == "Plan 'p' is not valid: one [P001]; two [P002]"
    assert [finding.code for finding in error.findings] == ["P001", "P002"]  # type: ignore[attr-defined]  # as given


def test_a_loop_names_its_way_round() -> None:
    error = PlanLoopError("chart/a", 1000, ["a", "b", "a"])

    assert str(error) == "chart/a: no rest after 1000 steps; it goes round a -> b -> a."
    assert error.code == "AF-PLAN-LOOP"
