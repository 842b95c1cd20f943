"""The planner `bt`: observations tick the tree, its leaves are actions, its timers are the engine's."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from probes import NO, ON, YES, F, given

from agentflow_kernel.contracts.planner import Decision, Observation, PlanScope, Task
from agentflow_kernel.contracts.tool import Tool
from agentflow_kernel.drawing import to_mermaid, to_svg
from agentflow_kernel.errors import NewerSchema, PlanError, PlanInvalid, UsageError
from agentflow_planner_bt.planner import TreePlanner
from agentflow_planner_bt.settings import TreeSettings

TOOL = {"tool": "files.read", "args": {"path": "a"}, "out": "{text}"}


class Play:
    """One run, played by hand; with ``stores`` it goes through its stored form before each step."""

    def __init__(self, document: Any, *, stores: bool = False, traced: bool = False, **settings: Any) -> None:
        self.planner = TreePlanner(TreeSettings(**settings))
        self.task = Task("t", plan=self.planner.read(document))
        self.state: Any = self.planner.begin(self.task)
        self.at, self.stores, self.traced = 1_000.0, stores, traced

    def see(self, kind: Any, id: str = "", value: Any = None, *, after: float = 0.0) -> Decision:
        """One observation."""
        self.at += after
        if self.stores:
            self.state = self.planner.load(self.task, json.loads(json.dumps(self.planner.dump(self.state))))
        return self.planner.step(self.state, Observation(kind, id, value, at=self.at, traced=self.traced))


def ids(decision: Decision) -> list[str]:
    return [action.id for action in decision.start]


@pytest.mark.parametrize("stores", [False, True])
def test_actions_begin_and_their_results_bring_the_tree_on(stores) -> None:
    main = {"ports": {"text": {"out": "string"}}, "root": {"sequence": [TOOL, {"agent": "a", "input": "{text}"}]}}
    play = Play({"trees": {"main": main}}, stores=stores)
    first = play.see("started")
    assert [ids(first), first.start[0].name, first.start[0].arguments] == [["tool#1"], "files.read", {"path": "a"}]
    second = play.see("result", "tool#1", "hello")
    assert [ids(second), second.start[0].arguments] == [["agent#1"], {"input": "hello"}]
    end = play.see("result", "agent#1").end
    assert end is not None
    assert [end.output, end.error, end.stop_reason] == [
        {"status": "SUCCESS", "output": {"text": "hello"}},
        None,
        "success",
    ]


def test_a_tree_that_fails_ends_with_its_status_and_no_error() -> None:
    end = Play(NO).see("started").end
    assert end is not None
    assert [end.output, end.error, end.stop_reason] == [{"status": "FAILURE", "output": {}}, None, "failure"]


def test_halting_cancels_and_a_late_result_is_left_aside() -> None:
    play = Play({"reactive_sequence": [given("SUCCESS", F, "SUCCESS"), TOOL], "post": "n := 1"})
    play.see("started")
    decision = play.see("timer")
    assert [decision.cancel, decision.end is not None] == [("tool#1",), True]
    assert play.see("result", "tool#1", "late") == Decision()


def test_what_was_not_begun_or_has_ended_is_left_aside() -> None:
    play = Play({"sequence": [TOOL, ON]}, tick_every_s=5)
    assert play.see("timer") == Decision()
    play.see("started")
    assert play.see("started") == play.see("result", "other") == play.see("signal", "x") == Decision()
    assert not play.see("result", "tool#1", "x").start
    assert play.see("result", "tool#1", "y") == Decision()


class TestTimers:
    def test_a_delay_is_a_timer_of_the_engine(self) -> None:
        play = Play({"delay": YES, "seconds": 30})
        assert play.see("started").waits == ({"type": "timer", "after_s": 30.0},)
        decision = play.see("timer", after=30 - 1e-9)
        assert decision.end is not None

    def test_the_earliest_counts_and_a_timer_that_is_not_needed_is_removed(self) -> None:
        tree = {"parallel": [{"timeout": TOOL, "seconds": 10}, {"timeout": {**TOOL, "name": "b"}, "seconds": 5}, TOOL]}
        play = Play({"errors": "failure", "root": {**tree, "failure": 3}})
        assert play.see("started").waits == ({"type": "timer", "after_s": 5.0},)
        assert play.see("result", "b#1", "x", after=2).waits == ({"type": "timer", "after_s": 8.0},)
        assert play.see("result", "tool#1", "x", after=2).waits == ({"type": "timer", "after_s": None},)

    def test_a_timeout_cancels_its_action(self) -> None:
        play = Play({"fallback": [{"timeout": TOOL, "seconds": 5}, {"tool": "other"}]})
        play.see("started")
        decision = play.see("timer", after=5)
        assert [decision.cancel, ids(decision)] == [("tool#1",), ["tool.2#1"]]

    def test_an_interval_only_where_the_document_or_the_settings_ask_for_one(self) -> None:
        assert Play(TOOL).see("started").waits == ()
        play = Play({"tick_every_s": 7, "root": TOOL}, tick_every_s=3)
        assert play.see("started").waits == ({"type": "timer", "after_s": 7.0},)
        assert play.see("timer", after=7).waits == ({"type": "timer", "after_s": 7.0},)

    def test_a_loop_that_has_not_come_to_its_end_goes_on_through_the_event_loop(self) -> None:
        play = Play({"repeat": YES, "times": 25}, rounds=9)
        gap = ({"type": "timer", "after_s": pytest.approx(0.05)},)
        assert [play.see("started").waits, play.see("timer", after=0.05).waits] == [gap, gap]
        assert play.see("timer", after=0.05).end is not None

    def test_a_list_is_gone_through_in_one_step(self) -> None:
        play = Play({"for_each": {"tool": "t", "skip_if": "x < 3"}, "queue": [1, 2, 3, 1, 4], "value": "{x}"})
        assert ids(play.see("started")) == ["tool#1"]
        assert ids(play.see("result", "tool#1")) == ["tool#2"]
        assert play.see("result", "tool#2").end is not None

    def test_a_node_that_only_wants_another_tick_gets_it_after_the_gap(self) -> None:
        play = Play({"failure_is_running": given(F, "SUCCESS")}, tick_gap_s=0.2)
        assert play.see("started").waits == ({"type": "timer", "after_s": pytest.approx(0.2)},)
        assert play.see("timer", after=0.2).end is not None

    def test_a_tree_that_waits_for_nothing_is_an_error(self) -> None:
        end = Play(ON).see("started").end
        assert end is not None
        assert [end.code, "waits for nothing" in str(end.error)] == ["AF-PLAN-STALLED", True]


class TestErrors:
    @pytest.mark.parametrize("kind", ["error", "cancelled"])
    def test_a_failed_action_ends_the_run_with_its_code_and_cancels_the_others(self, kind) -> None:
        play = Play({"parallel": [TOOL, {"tool": "b", "name": "b"}]})
        play.see("started")
        decision = play.see(kind, "tool#1", {"code": "AF-TOOL", "message": "no file", "executed": "no"})
        assert decision.end is not None
        assert decision.end.code == ("AF-TOOL" if kind == "error" else "AF-RUN-CANCELLED")
        assert str(decision.end.error).startswith("main/parallel/tool: ")
        assert decision.cancel == ("b#1",)

    def test_or_counts_as_failure(self) -> None:
        play = Play({"fallback": [{**TOOL, "errors": "failure"}, {"tool": "b"}]})
        play.see("started")
        assert ids(play.see("error", "tool#1", {"code": "AF-TOOL", "message": "no file"})) == ["tool.2#1"]

    @pytest.mark.parametrize("value", [None, 5, "text", [], {"message": 5, "code": 7}])
    def test_an_error_of_any_form_is_an_end(self, value) -> None:
        play = Play(TOOL)
        play.see("started")
        assert play.see("error", "tool#1", value).end is not None

    def test_input_that_does_not_fit(self) -> None:
        main = {
            "ports": {"n": {"in": "integer", "required": True}, "m": {"inout": "integer", "default": 3}},
            "root": YES,
        }
        end = Play({"trees": {"main": main}}).see("started", value={"n": "5"}).end
        assert end is not None
        assert end.output == {"status": "SUCCESS", "output": {"m": 3}}
        for value in ({}, None, {"n": "x"}):
            end = Play({"trees": {"main": main}}).see("started", value=value).end
            assert end is not None
            assert end.code == "AF-INPUT-INVALID"

    def test_the_whole_input_is_an_entry(self) -> None:
        play = Play({"tool": "t", "args": {"path": "{input.files[0]}"}})
        assert play.see("started", value={"files": ["a.txt"]}).start[0].arguments == {"path": "a.txt"}

    def test_an_agent_has_no_document(self) -> None:
        with pytest.raises(UsageError, match="follows a document"):
            TreePlanner().begin(Task("a"))


def test_a_stored_run_of_another_document_or_version_is_refused() -> None:
    play = Play({"sequence": [TOOL]})
    document = play.planner.dump(play.state)
    with pytest.raises(NewerSchema):
        play.planner.load(play.task, {**document, "version": 2})
    other = Task("t", plan=play.planner.read({"fallback": [TOOL]}))
    with pytest.raises(PlanError, match="of another tree"):
        play.planner.load(other, document)


def test_events_only_where_somebody_listens() -> None:
    tree = {"sequence": [YES, {"fallback": [{"check": "missing", "errors": "failure"}, TOOL]}]}
    assert Play(tree).see("started").events == ()
    events = Play(tree, traced=True).see("started").events
    assert [(name, fields.get("node", ""), fields.get("status", "")) for name, fields in events] == [
        ("node.ticked", "main/sequence/always_success", "SUCCESS"),
        ("node.ticked", "main/sequence/fallback/check", "FAILURE"),
        ("node.ticked", "main/sequence/fallback/tool", "RUNNING"),
        ("node.ticked", "main/sequence/fallback", "RUNNING"),
        ("node.ticked", "main/sequence", "RUNNING"),
        ("node.forgiven", "main/sequence/fallback/check", ""),
        ("tree.ticked", "", "RUNNING"),
    ]


def test_a_tree_may_be_traced_in_the_middle_of_its_run() -> None:
    play = Play({"sequence": [TOOL, TOOL]})
    play.see("started")
    play.traced = True
    assert len(play.see("result", "tool#1", "a").events) == 4


PATH = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
SCOPE = PlanScope(tools={"files.read": Tool("read", "", PATH)}, agents={"triage": ""}, flows={}, plans=None)


class TestCheck:
    def codes(self, document: Any) -> list[tuple[str, bool]]:
        return [(finding.code, finding.warning) for finding in TreePlanner().check(document, SCOPE)]

    @pytest.mark.parametrize(
        ("document", "codes"),
        [
            (TOOL, []),
            ({"tool": "files.raed"}, ["P003"]),
            ({"agent": "triag"}, ["P003"]),
            ({"flow": "x"}, ["P003"]),
            ({"plan": "x"}, []),  # not known, so not found to be missing
            ({"model": [], "tools": ["files.write"]}, ["P003"]),
            ({"tool": "files.read"}, ["P004"]),
            ({"tool": "files.read", "args": {"path": 5}}, ["P004"]),
            ({"tool": "files.read", "args": {"path": "{x}"}}, []),
            ({"tool": "files.read", "args": {"path": "{x}", "mode": 1}}, ["P004"]),
            ({"tool": "files.read", "args": {"size": "{x}"}}, ["P004", "P004"]),
            ({"tool": "files.read", "args": "{x}"}, []),
            ({"sequense": []}, ["P001"]),
            ({"root": {"sequense": []}}, ["P003"]),
            ({"retry": TOOL}, ["P004"]),
        ],
    )
    def test_all_that_is_wrong_is_found(self, document, codes) -> None:
        assert self.codes(document) == [(code, False) for code in codes]

    def test_two_children_that_take_time_below_a_reactive_node_are_a_warning(self) -> None:
        tree = {"reactive_sequence": [{"inverter": TOOL}, {"subtree": "b"}]}
        assert self.codes({"trees": {"main": tree, "b": {"sleep": 1}}}) == [("P001", True)]
        assert self.codes({"reactive_sequence": [YES, TOOL]}) == []

    def test_the_nearest_tool_is_suggested_at_its_place(self) -> None:
        (finding,) = TreePlanner().check({"sequence": [{"tool": "files.raed"}]}, SCOPE)
        assert [finding.pointer, finding.suggestion] == ["/sequence/0/tool", "Did you mean 'files.read'?"]

    def test_xml_beside_the_manifest(self) -> None:
        node = '<tool target="files.read" args="json:{}"/>'
        xml = f'<root BTCPP_format="4"><BehaviorTree ID="M">{node}</BehaviorTree></root>'
        assert self.codes({"source": xml, "file": "tree.xml"}) == [("P004", False)]
        with pytest.raises(PlanInvalid):
            TreePlanner().read({"source": "<root", "file": "tree.xml"})


class TestPicture:
    DOCUMENT: ClassVar = {"sequence": [YES, {"retry": {**TOOL, "name": "read it"}, "times": 2}, {"check": "x"}]}

    def test_the_tree(self) -> None:
        picture = TreePlanner().graph(self.DOCUMENT)
        assert [(shape.label, shape.kind, shape.detail) for shape in picture.shapes.values()] == [
            ("sequence", "fork", ""),
            ("always_success", "call", ""),
            ("retry", "fork", ""),
            ("read it", "tool", "files.read"),
            ("check", "call", "x"),
        ]
        assert [(edge.source, edge.target) for edge in picture.edges][-1] == ("main/sequence", "main/sequence/check")
        assert "read it" in to_mermaid(picture)
        assert to_svg(picture).startswith("<svg")

    def test_where_a_run_is(self) -> None:
        play = Play(self.DOCUMENT)
        play.see("started")
        picture = play.planner.graph(self.DOCUMENT, play.planner.dump(play.state))
        assert [shape.mark for shape in picture.shapes.values()] == ["working", "visited", "working", "waiting", ""]

    @pytest.mark.parametrize("stored", [True, False])
    @pytest.mark.parametrize(
        ("how", "value", "marks"),
        [
            ("result", 7, "visited visited visited visited visited"),
            ("error", {"code": "AF-X"}, "failed visited failed failed "),
        ],
    )
    def test_how_a_run_has_ended(self, how, value, marks, stored) -> None:
        """Every node as it stood at last, although the tree is IDLE by then; also where nothing was stored before."""
        document = {
            "sequence": [YES, {"retry": {**TOOL, "name": "read it", "out": "{x}"}, "times": 1}, {"check": "x == 7"}]
        }
        play = Play(document)
        decision = play.see("started")
        if stored:
            play.state = play.planner.load(play.task, play.planner.dump(play.state))
        decision = play.see(how, decision.start[0].id, value)
        assert decision.end is not None
        picture = play.planner.graph(document, play.planner.dump(play.state))
        assert " ".join(shape.mark for shape in picture.shapes.values()) == marks

    def test_where_a_node_raised(self) -> None:
        """It and all that hold it have failed."""
        document = {"sequence": [TOOL, {"inverter": {"check": "nothing > 1"}}, YES]}
        play = Play(document)
        play.see("result", play.see("started").start[0].id, 1)
        picture = play.planner.graph(document, play.planner.dump(play.state))
        assert [shape.mark for shape in picture.shapes.values()] == ["failed", "visited", "failed", "failed", ""]

    def test_the_state_of_another_document_marks_nothing(self) -> None:
        play = Play(TOOL)
        play.see("started")
        picture = play.planner.graph(self.DOCUMENT, play.planner.dump(play.state))
        assert {shape.mark for shape in picture.shapes.values()} == {""}


@pytest.mark.parametrize("tools", [[["a"]], 5, [{"a": 1}]])
def test_tools_that_are_no_names_are_found_once(tools) -> None:
    findings = TreePlanner().check({"model": "x", "tools": tools}, SCOPE)
    assert [finding.code for finding in findings] == ["P004"]
