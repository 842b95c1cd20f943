"""The planner: observations become events, what the chart wants becomes decisions, and a dump goes on the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.contracts.planner import Decision, Observation, Task
from agentflow_kernel.drawing import to_mermaid, to_svg
from agentflow_kernel.errors import NewerSchema, PlanInvalid, ProtocolViolation, UsageError
from agentflow_planner_fsm.document import read_document
from agentflow_planner_fsm.planner import PlanRun, Statechart
from agentflow_planner_fsm.settings import StatechartSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILD = """
name: build
data: {tries: 0, branch: main}
states:
  idle: {transitions: [{event: push, when: _event.data.branch == branch, target: building}]}
  building:
    invoke: [{id: make, tool: shell.run, with: {cmd: make, branch: {"$expr": branch}}}]
    after: {10m: late}
    transitions:
    - {event: done.invoke.make, target: good}
    - {event: error.invoke.make, when: tries < 1, target: building, do: ["tries += 1"]}
    - {event: error.invoke.make, target: bad}
    - {event: stop, target: idle}
  late: {enter: [{emit: {type: build.late, data: {"$expr": branch}}}], transitions: [{event: go, target: good}]}
  good: {final: true, data: {"ok": true, "input": {"$expr": input}}, enter: [{emit: build.done}]}
  bad: {final: true, data: {"ok": false}}
"""


class Run:
    """One run, with every state written and read again before each step."""

    def __init__(self, text: str, *, settings: StatechartSettings | None = None) -> None:
        self.planner = Statechart(settings)
        self.task = Task("t", plan=self.planner.read(read_document(text)))
        self.state: Any = self.planner.begin(self.task)
        self.at = 1_000.0

    def see(
        self, kind: Any, name: str = "", value: Any = None, *, after: float = 0.0, traced: bool = False
    ) -> Decision:
        document = json.loads(json.dumps(self.planner.dump(self.state), allow_nan=False))
        self.state = self.planner.load(self.task, document)
        self.at += after
        return self.planner.step(self.state, Observation(kind, name, value, at=self.at, traced=traced))

    @property
    def active(self) -> Sequence[str]:
        state = self.state
        assert isinstance(state, PlanRun)
        return state.chart.ids(state.hub.root.configuration)


def test_the_first_decision_asks_for_all_signals() -> None:
    run = Run(BUILD)
    decision = run.see("started", value={"branch": "dev"})
    assert decision.waits == ({"type": "signal", "name": "*"},)
    assert (decision.start, decision.cancel, decision.end) == ((), (), None)
    assert run.see("signal", "push", {"branch": "main"}) == Decision()
    assert run.active == ["idle"]


def test_signals_are_events_and_invocations_are_actions_with_a_timer() -> None:
    run = Run(BUILD)
    run.see("started", value={"branch": "dev"})
    decision = run.see("signal", "push", {"branch": "dev"})
    (action,) = decision.start
    assert (action.kind, action.name, action.arguments) == ("tool", "shell.run", {"cmd": "make", "branch": "dev"})
    assert not set(action.id) & set("/!@ ")
    assert decision.waits == ({"type": "timer", "after_s": 600.0},)


def test_the_result_ends_the_run_after_what_is_emitted() -> None:
    run = Run(BUILD)
    run.see("started", value={"a": 1})
    (action,) = run.see("signal", "push", {"branch": "main"}).start
    decision = run.see("result", action.id, "built", after=30)
    (emitted,) = decision.start
    assert (emitted.kind, emitted.name, decision.end) == ("emit", "build.done", None)
    assert decision.waits == ({"type": "timer", "after_s": None},)
    end = run.see("result", emitted.id).end
    assert end is not None
    assert (end.output, end.error, end.stop_reason) == ({"ok": True, "input": {"a": 1}}, None, "final.good")
    assert run.see("signal", "push") == Decision()


def test_a_failed_action_is_an_event_and_the_next_one_has_another_id() -> None:
    run = Run(BUILD)
    run.see("started")
    (first,) = run.see("signal", "push", {"branch": "main"}).start
    decision = run.see("error", first.id, {"code": "X", "message": "", "executed": "no"}, after=1)
    (second,) = decision.start
    assert second.id != first.id
    end = run.see("cancelled", second.id).end
    assert end is not None
    assert end.output == {"ok": False}


def test_leaving_a_state_cancels_its_action_and_timer_and_late_results_change_nothing() -> None:
    run = Run(BUILD)
    run.see("started")
    (action,) = run.see("signal", "push", {"branch": "main"}).start
    decision = run.see("signal", "stop")
    assert decision.cancel == (action.id,)
    assert decision.waits == ({"type": "timer", "after_s": None},)
    for kind in ("result", "cancelled", "error"):
        assert run.see(kind, action.id) == Decision()
    assert run.active == ["idle"]


def test_a_timer_fires_and_one_that_is_due_does_so_before_any_other_event() -> None:
    run = Run(BUILD)
    run.see("started")
    run.see("signal", "push", {"branch": "main"})
    decision = run.see("signal", "go", after=601)  # the timer was due a second ago
    assert [each.name for each in decision.start] == ["build.late", "build.done"]
    run = Run(BUILD)
    run.see("started")
    run.see("signal", "push", {"branch": "main"})
    decision = run.see("timer", after=10)  # much too early: it is asked for again
    assert decision == Decision(waits=[{"type": "timer", "after_s": 590.0}])
    decision = run.see("timer", after=589.9999)  # an engine may wake a moment early
    assert run.active == ["late"]
    assert len(decision.cancel) == 1


def test_a_chart_that_nothing_can_move_any_more_ends_with_an_error() -> None:
    run = Run("states: {a: {transitions: [{event: e, target: b}]}, b: {}}")
    assert run.see("started").end is None
    end = run.see("signal", "e").end
    assert end is not None
    assert end.error is not None
    assert (end.code, end.stop_reason) == ("AF-PLAN-STALLED", "stalled")
    assert "from b" in end.error


def test_a_loop_ends_the_run_with_its_cycle() -> None:
    text = """
states:
  a: {transitions: [{event: e, target: b}]}
  b: {transitions: [{target: c}]}
  c: {transitions: [{target: b}]}
"""
    run = Run(text, settings=StatechartSettings(max_microsteps=20))
    run.see("started")
    end = run.see("signal", "e").end
    assert end is not None
    assert end.error is not None
    assert end.code == "AF-PLAN-LOOP"
    assert "b ----> c" in end.error
    assert run.see("signal", "e") == Decision()


def test_progress_is_told_only_where_somebody_listens() -> None:
    run = Run(BUILD)
    assert run.see("started").events == ()
    decision = run.see("signal", "push", {"branch": "main"}, traced=True)
    assert [name for name, _ in decision.events] == ["state.exited", "transition.taken", "state.entered"]
    assert decision.events[0][1] == {"state": "idle"}


def test_machines_within_are_no_actions() -> None:
    run = Run("""
states:
  a:
    invoke: {id: kid, chart: {states: {k: {after: {5s: f}}, f: {final: true, data: 1}}}}
    transitions: [{event: done.invoke.kid, target: b}]
  b: {final: true, data: {"$expr": _event.data}}
""")
    decision = run.see("started")
    assert decision.start == ()
    assert decision.waits[1] == {"type": "timer", "after_s": 5.0}
    end = run.see("timer", after=5).end
    assert end is not None
    assert end.output == 1


@pytest.mark.parametrize("document", [None, {}, {"version": "1"}, {"version": 1, "machine": {}}, []])
def test_what_is_no_state_of_a_run_is_refused(document: Any) -> None:
    run = Run(BUILD)
    if document == {"version": 1, "machine": {}}:
        document = {"version": 1, "machine": {"version": 1}}
    with pytest.raises(ProtocolViolation):
        run.planner.load(run.task, document)


def test_a_newer_state_is_refused() -> None:
    run = Run(BUILD)
    with pytest.raises(NewerSchema):
        run.planner.load(run.task, {"version": 2})


def test_a_task_without_a_document_is_refused() -> None:
    with pytest.raises(UsageError, match="follows a statechart"):
        Statechart().begin(Task("t"))


def test_the_picture_shows_where_a_run_is() -> None:
    run = Run(BUILD)
    run.see("started")
    run.see("signal", "push", {"branch": "main"})
    picture = run.planner.graph(read_document(BUILD), run.planner.dump(run.state))
    assert picture.shapes["building"].mark == "working"
    assert picture.shapes["building"].detail == "tool shell.run"
    assert {shape.kind for shape in picture.shapes.values()} == {"state", "final", "initial"}
    assert any(edge.label == "after 10m" for edge in picture.edges)
    plain = run.planner.graph(read_document(BUILD))
    assert not any(shape.mark for shape in plain.shapes.values())
    with pytest.raises(PlanInvalid):
        run.planner.graph({})


@pytest.mark.parametrize(
    ("way", "code", "failed"),
    [
        ("target: end", "AF-PLAN-STALLED", {"end"}),
        ("do: [{raise: more}]}, {event: more, do: [{raise: more}]", "AF-PLAN-LOOP", {"s"}),
    ],
)
def test_the_picture_of_a_run_that_failed_marks_where(way: str, code: str, failed: set[str]) -> None:
    text = f"states: {{s: {{transitions: [{{event: go, {way}}}]}}, end: {{}}}}"
    run = Run(text)
    run.see("started")
    end = run.see("signal", "go").end
    assert end is not None
    assert end.code == code
    picture = run.planner.graph(read_document(text), run.planner.dump(run.state))
    assert {shape.id for shape in picture.shapes.values() if shape.mark == "failed"} == failed


def test_pictures_of_nested_charts_can_be_drawn() -> None:
    """Arrows between boxes at different depths join what stands side by side, and say what they mean."""
    document = {
        "states": {
            "p": {
                "parallel": True,
                "transitions": [{"event": "own", "target": "p"}, {"event": "note", "do": []}],
                "states": {
                    "x": {
                        "initial": "x11",
                        "states": {"x1": {"states": {"x11": {"transitions": [{"event": "e", "target": "q2"}]}}}},
                    },
                    "y": {
                        "states": {"h": {"history": "deep"}, "y1": {"transitions": [{"event": "up", "target": "p"}]}}
                    },
                },
            },
            "q": {"states": {"q1": {}, "q2": {"transitions": [{"event": "back", "target": "h"}]}}},
        }
    }
    picture = Statechart().graph(document)
    labels = {(edge.source, edge.target): edge.label for edge in picture.edges}
    assert labels["p", "q"] == "x11 → q2: e"
    assert labels["q", "p"] == "q2 → h: back"
    assert all(picture.shapes[edge.source].parent == picture.shapes[edge.target].parent for edge in picture.edges)
    assert "subgraph" in to_mermaid(picture)
    assert to_svg(picture).startswith("<svg")
