"""What comes while a chart runs: data that is no machine, ids that are taken, work without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from statechart_driver import run

from agentflow_kernel.errors import PlanInvalid
from agentflow_planner_fsm.machine import Machine

if TYPE_CHECKING:
    from pathlib import Path

LATE = """<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0">
<datamodel><data id="d"/></datamodel>
<state id="a"><transition event="go" target="b"><assign location="d" expr="_event.data"/></transition></state>
<state id="b"><invoke id="k" type="scxml"><content expr="d"/></invoke>
  <transition event="done.invoke.k" target="pass"/><transition event="error.execution" target="refused"/></state>
<final id="pass"/><state id="refused"/>
</scxml>"""
TWICE = {"id": "k", "tool": "x.y"}


def after(data: Any) -> list[str]:
    machine = Machine.load(LATE)
    machine.send("go", data)
    return machine.configuration


def test_a_machine_that_comes_as_data_is_text_and_never_a_path(tmp_path: Path) -> None:
    """A file that holds a chart is there, and is not opened."""
    chart = "states: {f: {final: true}}\n"
    file = tmp_path / "chart.yaml"
    file.write_text(chart)
    assert Machine.load(str(file)).done
    assert after(str(file)) == ["refused"]
    assert after(chart) == ["pass"]


@pytest.mark.parametrize(
    "data",
    ["/nowhere/x.yaml", "/", "a\0b", "a" * 5_000, "", " \n", 5, None, [1], {"kind": "Plan", "metadata": 1, "spec": {}}],
)
def test_data_that_is_no_machine_is_an_error_of_execution(data: Any) -> None:
    assert after(data) == ["refused"]


def test_a_name_of_a_machine_that_no_file_can_have_is_an_error_of_execution(tmp_path: Path) -> None:
    """Also one that is too long for the system to look for."""
    file = tmp_path / "main.yaml"
    file.write_text("""
data: {name: null}
states:
  a: {transitions: [{event: go, target: b, do: [name = _event.data]}]}
  b: {invoke: [{id: k, chart_source_expr: name}], transitions: [{event: error.execution, target: refused}]}
  refused: {}
""")
    for name in ("a" * 5_000, "a\0b", "none.yaml", 7):
        machine = Machine.load(file)
        machine.send("go", name)
        assert machine.configuration == ["refused"]


@pytest.mark.parametrize(
    "states",
    [
        {"a": {"invoke": [TWICE, TWICE]}},
        {"p": {"parallel": True, "states": {"a": {"invoke": [TWICE]}, "m": {}, "b": {"invoke": [TWICE]}}}},
        {"o": {"invoke": [TWICE], "states": {"a": {}, "b": {"invoke": [TWICE]}}}},
    ],
)
def test_two_invocations_that_may_be_at_work_together_need_two_ids(states: Any) -> None:
    with pytest.raises(PlanInvalid, match="The id 'k' of an invocation is taken") as caught:
        Machine.load({"states": states})
    assert [finding.code for finding in caught.value.findings] == ["P002"]  # type: ignore[union-attr]  # a plan's


def test_invocations_of_states_that_exclude_each_other_may_share_an_id() -> None:
    machine = run("""
states:
  a: {invoke: [{id: k, tool: x.y}], transitions: [{event: next, target: b}]}
  b: {invoke: [{id: k, tool: x.y}], transitions: [{event: done.invoke.k, target: c}]}
  c: {}
""")
    machine.send("next")
    assert machine.complete("k") is True
    assert machine.configuration == ["c"]


def test_an_invocation_whose_id_is_at_work_is_an_error_and_the_first_goes_on() -> None:
    """The name that the system makes for the second is the one that the document gave to the first."""
    machine = run("""
data: {why: ""}
states:
  a:
    invoke: [{id: a.invoke3, tool: x.y}, {tool: x.z}]
    transitions: [{event: error.execution, do: [why = _event.data.message]}, {event: z, target: q}]
  q: {}
""")
    assert "'a.invoke3' that is at work" in machine.data["why"]
    ((action,), _) = machine.take_actions()
    assert action.name == "x.y"
    machine.send("z")
    assert machine.take_actions() == ([], [action.id])
    assert machine.complete(action.id) is False
