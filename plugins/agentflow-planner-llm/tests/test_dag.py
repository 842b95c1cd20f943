"""The planner `dag`: order, conditions, failures, retries, routes and loops, state, budgets and approval."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dag_driver import Failure, Never, Play, dag, play, task_of
from plans import TOOLS, plan, ref, step

from agentflow_kernel.contracts.planner import Observation, PlanScope, Task
from agentflow_kernel.contracts.provider import Message, ModelReply, Usage
from agentflow_kernel.contracts.tool import Tool
from agentflow_kernel.errors import NewerSchema, PlanInvalid, ProtocolViolation
from agentflow_planner_llm.execution.executor import DEADLOCK
from agentflow_planner_llm.execution.program import Program
from agentflow_planner_llm.plan import Scope, check_plan


def says(text: str, **fields: Any) -> Any:
    return ModelReply(Message("assistant", text), usage=Usage(10, 5, cost_usd=0.1), **fields).to_json()


def chain(count: int) -> dict[str, Any]:
    return plan(*(step(f"s{n}", needs=[f"s{n - 1}"] if n else []) for n in range(count)))


# -- order ---------------------------------------------------------------------------------------------------------


def test_steps_start_as_soon_as_their_needs_have_ended() -> None:
    """A diamond: both middle steps start with the end of the first, the last one with the end of the second of them."""
    run = play(plan(step("a"), step("b", needs=["a"]), step("c", needs=["a"]), step("d", needs=["b", "c"])))
    assert run.ids == ["a"]
    assert [action.id for action in run.finish("a").start] == ["b", "c"]
    assert run.finish("c").start == ()
    assert [action.id for action in run.finish("b").start] == ["d"]
    run.finish("d", 4)
    assert run.output == {"d": 4}


def test_references_are_filled_in_and_make_needs() -> None:
    """A step waits for what it refers to and gets the piece that the path leads to."""
    run = play(
        plan(
            step(
                "use",
                args={"x": {"deep": [ref("make.result.items[1].name"), ref("input.who")]}, "s": ref("make.status")},
            ),
            step("make"),
            output={"used": ref("use.result"), "n": ref("make.result.items[0].name")},
        ),
        {"who": "Ada"},
    )
    assert run.ids == ["make"]
    (use,) = run.finish("make", {"items": [{"name": "p"}, {"name": "q"}]}).start
    assert use.arguments == {"x": {"deep": ["q", "Ada"]}, "s": "done"}
    run.finish("use", 7)
    assert run.output == {"used": 7, "n": "p"}


def test_peer_pitfall_text_is_never_searched_for_references() -> None:
    """LLMCompiler takes the `$1` of a price for a reference; here text is text."""
    run = play(plan(step("a"), step("b", args={"text": "costs $1, see a.result"})))
    assert run.ids == ["a", "b"]
    assert run.started[1].arguments == {"text": "costs $1, see a.result"}


def test_peer_pitfall_forward_references_are_not_dropped() -> None:
    """LLMCompiler drops references to later steps silently; in a graph they are needs like others."""
    run = play(plan(step("b", args={"x": ref("a.result")}), step("a")))
    assert run.ids == ["a"]
    (b,) = run.finish("a", 5).start
    assert b.arguments == {"x": 5}


def test_order_is_that_of_the_document_and_at_most_so_many_run() -> None:
    """The limit of the plan and that of the settings hold, the smaller of them."""
    document = plan(*(step(f"s{n}") for n in range(6)), limits={"parallel": 2})
    run = play(document, parallel=4).until_end()
    assert run.most == 2
    assert run.ids == [f"s{n}" for n in range(6)]
    assert play({**document, "limits": {"parallel": 9}}, parallel=4).until_end().most == 4


def test_sequential_tools_run_alone() -> None:
    """A tool that never runs beside another call waits until nothing runs, and nothing starts beside it."""
    tools = {**TOOLS, "alone": Tool("alone", "", {"type": "object"}, sequential=True)}
    subject = dag(optimise=[])
    run = Play(subject, task_of(subject, plan(step("a"), step("b", "alone"), step("c")), tools))
    assert list(run.open) == ["a"]
    run.finish("a")
    assert list(run.open) == ["b"]
    run.finish("b")
    assert list(run.open) == ["c"]


def test_linear_form_keeps_the_order_of_effects() -> None:
    """In linear form each step comes after the one before it, though nothing refers to it."""
    run = play(plan(step("a", "send"), step("b", "send"), step("c", "send"), form="linear")).until_end()
    assert run.ids == ["a", "b", "c"]
    assert run.most == 1


def test_peer_pitfall_nothing_is_polled() -> None:
    """A chain of 20 instant steps takes 21 observations and no timer; LLMCompiler polls and takes 210 ms for it."""
    run = play(chain(20)).until_end()
    assert len(run.decisions) == 21
    assert not any(decision.waits for decision in run.decisions)


# -- failures --------------------------------------------------------------------------------------------------------


def test_failure_ends_the_plan_and_cancels_what_runs() -> None:
    """`fail` is the default: what runs is cancelled, the error keeps its code, and all states are visible."""
    run = play(plan(step("a"), step("b"), step("c", needs=["a"])))
    run.finish("a", Failure("no such file", "AF-PATH-REFUSED"))
    assert run.end is not None
    assert run.decisions[-1].cancel == ("b",)
    assert (run.end.code, run.end.stop_reason) == ("AF-PATH-REFUSED", "error")
    assert "'a'" in str(run.end.error)
    assert "no such file" in str(run.end.error)
    assert run.end.output["steps"]["a"]["error"]["code"] == "AF-PATH-REFUSED"


def test_peer_pitfall_a_tool_error_ends_the_plan() -> None:
    """LLMCompiler never ends after a tool's exception; here each failure leads to an end or to a decision."""
    for on_error in ("fail", "skip", "continue", "retry"):
        run = play(plan(step("a", on_error=on_error), step("b", args={"x": ref("a.result")})))
        run.until_end(lambda action: Failure() if action.id.startswith("a") else 1)
        assert run.end is not None


def test_peer_pitfall_a_failed_need_is_not_satisfied() -> None:
    """CrewAI runs what depends on a failed task; here it is skipped, visibly, and so is what depends on that."""
    run = play(plan(step("a", on_error="skip"), step("b", needs=["a"]), step("c", needs=["b"]), step("d")))
    run.until_end(lambda action: Failure() if action.id == "a" else "ok")
    assert run.statuses == {"a": "failed", "b": "skipped", "c": "skipped", "d": "done"}
    assert run.ids == ["a", "d"]
    assert run.output == {"d": "ok"}


def test_continue_gives_null_and_shows_the_error() -> None:
    """After `continue` dependants run with null, and may look at the error."""
    run = play(plan(step("a", on_error="continue"), step("b", args={"x": ref("a.result"), "why": ref("a.error.code")})))
    (b,) = run.finish("a", Failure(code="AF-ELAPSED")).start
    assert b.arguments == {"x": None, "why": "AF-ELAPSED"}
    assert run.finish("b", 1).end is not None


def test_default_of_a_reference_stands_for_a_skipped_step() -> None:
    """A step that refers with a default runs though the other was skipped."""
    run = play(plan(step("a", when="input.go"), step("b", args={"x": ref("a.result", default="none")})), {"go": False})
    assert run.ids == ["b"]
    assert run.started[0].arguments == {"x": "none"}


def test_fallback_runs_only_when_its_condition_says_so() -> None:
    """A step may ask how another one ended."""
    document = plan(step("a", on_error="skip"), step("b", when='a.status == "failed"'))
    assert play(document).until_end(lambda action: Failure() if action.id == "a" else 1).ids == ["a", "b"]
    assert play(document).until_end().ids == ["a"]


def test_retry_waits_longer_each_time_and_then_fails() -> None:
    """Three tries by default, after 1 and 2 seconds; each is an action of its own."""
    run = play(plan(step("a", on_error="retry")))
    run.finish("a", Failure())
    assert run.decisions[-1].waits == ({"type": "timer", "after_s": 1.0},)
    assert [action.id for action in run.ring().start] == ["a#2"]
    run.finish("a#2", Failure())
    assert run.decisions[-1].waits == ({"type": "timer", "after_s": 2.0},)
    run.ring()
    assert run.finish("a#3", Failure("still")).end is not None
    assert run.now == 1_003.0


def test_retry_that_succeeds_goes_on() -> None:
    """What follows sees the result of the try that went well."""
    run = play(plan(step("a", retry={"attempts": 2, "wait_s": 0}), step("b", args={"x": ref("a.result")})))
    run.until_end(lambda action: Failure() if action.id == "a" else action.id)
    assert run.ids == ["a", "a#2", "b"]
    assert run.started[-1].arguments == {"x": "a#2"}


def test_retry_never_repeats_a_call_that_may_have_had_its_effect() -> None:
    """A tool with effects is tried again only where it was surely not executed, or is idempotent."""
    for executed, idempotent, tries in (("maybe", None, 1), ("yes", None, 1), ("no", None, 2), ("maybe", True, 2)):
        fields = {} if idempotent is None else {"idempotent": idempotent}
        run = play(plan(step("a", "send", retry={"attempts": 2, "wait_s": 0}, **fields)))
        run.until_end(lambda action, executed=executed: Failure(executed=executed))
        assert len(run.ids) == tries, (executed, idempotent)
        assert run.end is not None
        assert ("not tried again" in str(run.end.error)) is (tries == 1)


def test_timeout_cancels_the_action_and_fails_the_step() -> None:
    """The action is cancelled when its time is over, and the step then fails with AF-ELAPSED."""
    run = play(plan(step("a", timeout=5), step("b", timeout=9)))
    assert run.decisions[-1].waits == ({"type": "timer", "after_s": 5.0},)
    run.ring()
    assert run.end is not None
    assert run.end.code == "AF-ELAPSED"
    assert "5 s" in str(run.end.error)


def test_timeout_takes_a_result_that_was_quicker() -> None:
    """A result that arrives while its action is being cancelled counts."""
    subject = dag()
    task = task_of(subject, plan(step("a", timeout=5)))
    state = subject.begin(task)
    subject.step(state, Observation("started", at=0.0))
    assert subject.step(state, Observation("timer", at=5.0)).cancel == ("a",)
    end = subject.step(state, Observation("result", "a", 3, at=5.0)).end
    assert end is not None
    assert end.output == {"a": 3}


def test_result_that_does_not_fit_is_a_failure() -> None:
    """`returns` and `expect` are checked when the result comes."""
    run = play(plan(step("a", returns={"type": "integer"})))
    run.finish("a", "x")
    assert run.end is not None
    assert run.end.code == "AF-OUTPUT-INVALID"
    run = play(plan(step("a", expect="result.ok")))
    run.finish("a", {"ok": False})
    assert run.end is not None
    assert "'result.ok' is false" in str(run.end.error)
    assert play(plan(step("a", expect="result.ok"))).finish("a", {"ok": True}).end is not None


def test_arguments_that_became_wrong_are_not_passed_on() -> None:
    """What a reference brings is checked against the tool's schema before the call."""
    run = play(plan(step("a"), step("b", "files.read", args={"path": ref("a.result")})))
    run.finish("a", 3)
    assert run.ids == ["a"]
    assert run.end is not None
    assert run.end.code == "AF-INPUT-INVALID"


def test_reference_that_leads_nowhere_fails_its_step() -> None:
    """A piece that is not there is an error that names it, and no null."""
    run = play(plan(step("a"), step("b", args={"x": ref("a.result.items[3]")})))
    run.finish("a", {"items": []})
    assert run.end is not None
    assert "a.result.items[3]" in str(run.end.error)


def test_steps_that_can_never_start_are_named() -> None:
    """A program whose steps wait for each other, which no check lets pass, ends as a deadlock instead of waiting."""
    subject = dag()
    task = task_of(subject, plan(step("a"), step("b", needs=["a"]), step("c", needs=["b"])))
    graph, _ = check_plan(plan(step("a"), step("b", needs=["a"]), step("c", needs=["b"])), Scope(TOOLS))
    program = Program(graph, TOOLS)
    program.after[1] = {2}
    program.seal()
    state = subject.begin(task)
    assert state.run is not None
    state.run = type(state.run)(program)
    subject.step(state, Observation("started"))
    end = subject.step(state, Observation("result", "a", 1)).end
    assert end is not None
    assert end.code == DEADLOCK
    assert "'b', 'c'" in str(end.error)


# -- routes and loops ------------------------------------------------------------------------------------------------


def test_first_route_whose_condition_holds_is_taken() -> None:
    """What the other routes lead to is skipped."""
    document = plan(
        step("a", routes=[{"to": "b", "when": "result > 5"}, {"to": "c"}]),
        step("b"),
        step("c"),
        step("d", args={"b": ref("b.result", default=None), "c": ref("c.result", default=None)}),
    )
    run = play(document).until_end(lambda action: 9 if action.id == "a" else action.id)
    assert run.statuses == {"a": "done", "b": "done", "c": "skipped", "d": "done"}
    assert run.started[-1].arguments == {"b": "b", "c": None}
    assert play(document).until_end(lambda action: 1).statuses["b"] == "skipped"


def test_loop_is_done_again_until_its_condition_fails() -> None:
    """The body of a loop runs anew with ids of its own; what follows sees the last turn."""
    document = plan(
        step("draft", args={"notes": ref("state.notes")}),
        step("review", args={"of": ref("draft.result")}, writes=["notes"],
             routes=[{"to": "draft", "when": "result < 3", "max": 5}]),
        step("publish", args={"text": ref("draft.result")}),
        state={"notes": {"initial": 0}},
    )  # fmt: skip
    count = {"review": 0}

    def answer(action: Any) -> Any:
        if action.id.startswith("review"):
            count["review"] += 1
            return count["review"]
        return action.id

    run = play(document).until_end(answer)
    assert run.ids == ["draft", "review", "draft#2", "review#2", "draft#3", "review#3", "publish"]
    assert [action.arguments["notes"] for action in run.started if action.id.startswith("draft")] == [0, 1, 2]
    assert run.started[-1].arguments == {"text": "draft#3"}


def test_loop_beyond_its_bound_ends_the_plan() -> None:
    """The bound is an error that names the cycle, not an answer."""
    document = plan(step("a"), step("b", needs=["a"], routes=[{"to": "a", "when": "true", "max": 2}]))
    run = play(document).until_end()
    assert run.end is not None
    assert run.end.code == "AF-PLAN-LOOP"
    assert "a -> b -> a" in str(run.end.error)
    assert run.ids == ["a", "b", "a#2", "b#2", "a#3", "b#3"]


def test_nested_loops_begin_their_count_anew() -> None:
    """An inner loop may take its bound again in each turn of the outer one."""
    document = plan(
        step("a"),
        step("b", needs=["a"], routes=[{"to": "b", "when": "input.inner", "max": 1}]),
        step("c", needs=["b"], routes=[{"to": "a", "when": "result == 'again'", "max": 1}]),
    )
    seen: list[str] = []

    def answer(action: Any) -> Any:
        seen.append(action.id)
        return "again" if action.id == "c" else "on"

    document["steps"][1]["routes"][0]["when"] = 'result == "again"'
    inner = {"b": "again", "b#3": "again"}
    run = play(document).until_end(lambda action: inner.get(action.id) or answer(action))
    assert run.end is not None
    assert run.end.error is None
    assert run.ids == ["a", "b", "b#2", "c", "a#2", "b#3", "b#4", "c#2"]


# -- state -----------------------------------------------------------------------------------------------------------


def test_concurrent_writes_are_merged_in_the_order_of_the_plan() -> None:
    """The order in which writers end does not show in the state."""
    document = plan(
        step("a", writes=["log"]), step("b", writes=["log"]), step("c", writes=["log"]),
        state={"log": {"initial": ["start"], "reducer": "append"}}, output=ref("state.log"),
    )  # fmt: skip
    forward = play(document)
    for name in "abc":
        forward.finish(name, name)
    backward = play(document)
    for name in "cba":
        backward.finish(name, name)
    assert forward.output == backward.output == ["start", "a", "b", "c"]


@pytest.mark.parametrize(
    ("reducer", "initial", "values", "expected"),
    [
        ("add", 1, [2, 3], 6),
        ("max", None, [2, 3], 3),
        ("merge", {"z": 0}, [{"a": 1}, {"b": 2}], {"z": 0, "a": 1, "b": 2}),
        ("last", 0, [1, 2], 2),
    ],
)
def test_reducers(reducer: str, initial: Any, values: list[Any], expected: Any) -> None:
    """Each reducer merges as its name says."""
    document = plan(step("a", writes=["k"]), step("b", writes=["k"]), output=ref("state.k"),
                    state={"k": {"initial": initial, "reducer": reducer}})  # fmt: skip
    run = play(document)
    run.finish("b", values[1])
    run.finish("a", values[0])
    assert run.output == expected


def test_several_keys_take_fields_of_the_result() -> None:
    """A step with several keys writes the fields of these names; a result without them is a failure."""
    document = plan(step("a", writes=["x", "y"]), output=[ref("state.x"), ref("state.y")])
    assert play(document).finish("a", {"x": 1, "y": 2, "z": 3}).end.output == [1, 2]  # type: ignore[union-attr]
    run = play(document)
    run.finish("a", {"x": 1})
    assert run.end is not None
    assert run.end.code == "AF-OUTPUT-INVALID"


def test_readers_wait_for_writers_before_them() -> None:
    """A reader of a key starts after the writer that stands before it, without a need of its own."""
    run = play(plan(step("w", writes=["k"]), step("r", args={"k": ref("state.k")}), step("w2", writes=["k"])))
    assert run.ids == ["w"]
    (reader,) = run.finish("w", 5).start
    assert reader.arguments == {"k": 5}
    assert [action.id for action in run.finish("r").start] == ["w2"]


# -- kinds, budgets, approval ----------------------------------------------------------------------------------------


def test_every_kind_of_step_is_an_action() -> None:
    """Agents, flows, plans, events, waits and questions are asked of the engine in its words."""
    document = plan(
        {"id": "a", "kind": "agent", "name": "helper", "args": {"input": "hi"}},
        {"id": "f", "kind": "flow", "name": "triage", "args": {"input": ref("input")}},
        {"id": "p", "kind": "plan", "name": "inner"},
        {"id": "e", "kind": "emit", "name": "thing.done", "args": {"subject": "x"}},
        {"id": "w", "kind": "wait", "args": {"type": "timer", "seconds": 3}},
        {"id": "q", "kind": "ask", "args": {"question": "Go?", "choices": ["yes", "no"]}},
        {"id": "m", "kind": "model", "args": {"prompt": "Sum:", "with": ref("input"), "system": "Brief."}},
    )
    run = play(document, {"n": 1})
    assert [(action.kind, action.name, dict(action.arguments)) for action in run.started] == [
        ("agent", "helper", {"input": "hi"}),
        ("flow", "triage", {"input": {"n": 1}}),
        ("plan", "inner", {"input": None}),
        ("emit", "thing.done", {"data": None, "subject": "x"}),
        ("wait", "", {"type": "timer", "seconds": 3}),
        ("ask", "", {"question": "Go?", "choices": ["yes", "no"]}),
        (
            "model",
            "",
            {
                "messages": [{"role": "system", "text": "Brief."}, {"role": "user", "text": 'Sum:\n\n{"n":1}'}],
                "tools": [],
                "output_schema": None,
            },
        ),
    ]
    for name in "afpewq":
        run.finish(name)
    run.finish("m", says("3"))
    assert run.output["m"] == "3"


def test_model_step_gives_json_where_it_has_a_schema() -> None:
    """The answer is read and checked; one that does not fit is a failure that may be tried again."""
    schema = {"type": "object", "required": ["n"]}
    document = plan({"id": "m", "kind": "model", "args": {"prompt": "?", "output_schema": schema}, "on_error": "retry"})
    run = play(document)
    run.finish("m", says("no json"))
    run.ring()
    run.finish("m#2", says('{"n": 3}'))
    assert run.output == {"m": {"n": 3}}


def test_budgets_are_checked_before_the_action_they_pay_for() -> None:
    """The call that would go beyond is not made; the plan ends with the name of the budget."""
    run = play(chain(4), budgets={"tool_calls": 2}).until_end()
    assert run.ids == ["s0", "s1"]
    assert run.end is not None
    assert (run.end.code, run.end.stop_reason) == ("AF-BUDGET", "budget.tool_calls")
    models = plan(
        {"id": "a", "kind": "model", "args": {"prompt": "1"}},
        {"id": "b", "kind": "model", "args": {"prompt": "2"}, "needs": ["a"]},
    )
    for budgets in ({"tokens": 15}, {"cost_usd": 0.1}, {"model_calls": 1}):
        run = play(models, budgets=budgets).until_end(lambda action: says("x"))
        assert run.ids == ["a"]
        assert run.end is not None
        assert run.end.stop_reason == f"budget.{next(iter(budgets))}"


def test_wall_time_ends_the_run() -> None:
    """The planner has no clock: the time comes with observations, and a timer wakes it."""
    run = play(plan(step("a"), step("b", timeout=90)), budgets={"wall_s": 60})
    run.until_end(lambda action: Never())
    assert run.now == 1_060.0
    assert run.end is not None
    assert run.end.stop_reason == "budget.wall"


def test_approval_is_bound_to_the_plan() -> None:
    """Nothing starts before a person has agreed, and an answer for another plan does not count."""
    document = plan(step("a", "send"), approval=True, goal="Tell them")
    subject = dag()
    task = task_of(subject, document)
    hash_ = task.plan.hash  # type: ignore[attr-defined]
    run = Play(subject, task)
    (ask,) = run.started
    assert (ask.kind, ask.arguments["choices"]) == ("ask", [f"approve {hash_[:12]}", "reject"])
    assert hash_ in str(ask.arguments["question"])
    assert [action.id for action in run.finish("approve.plan", f"approve {hash_[:12]}").start] == ["a"]
    for answer, code in (("approve 000000000000", "AF-APPROVAL-MISMATCH"), ("reject", "AF-APPROVAL-REFUSED")):
        other = Play(subject, task)
        other.finish("approve.plan", answer)
        assert other.end is not None
        assert (other.end.code, other.ids) == (code, ["approve.plan"])
    assert play({**document, "approval": False}, approval=True).ids == ["approve.plan"]


def test_run_may_not_leave_its_plan() -> None:
    """A stored run is not continued with another document."""
    subject = dag()
    run = Play(subject, task_of(subject, plan(step("a"), step("b", needs=["a"]))))
    other = task_of(subject, plan(step("a"), step("c", needs=["a"])))
    with pytest.raises(ProtocolViolation, match="another one than the run began"):
        subject.load(other, subject.dump(run.state))
    missing = task_of(subject, plan(step("a"), step("b", needs=["a"])), {"send": TOOLS["send"]})
    with pytest.raises(ProtocolViolation, match=r"cannot go on as it is: .*unknown tool 'count'"):
        subject.load(missing, subject.dump(run.state))


def test_stored_state_is_refused_where_it_is_none_or_newer() -> None:
    """Loading says what is wrong."""
    subject = dag()
    task = task_of(subject, plan(step("a")))
    document: Any = subject.dump(Play(subject, task).state)
    with pytest.raises(NewerSchema):
        subject.load(task, {**document, "version": 99})
    for wrong in ({}, [], None, {**document, "run": {}}):
        with pytest.raises(ProtocolViolation):
            subject.load(task, wrong)


# -- reading, checking, drawing ----------------------------------------------------------------------------------------


def test_reading_refuses_a_wrong_document_with_all_findings() -> None:
    """Whatever the tools are, form and shape are checked when the document is read."""
    with pytest.raises(PlanInvalid) as caught:
        dag().read(plan(step("a", needs=["b"]), step("c", colour=1)))
    assert [finding.code for finding in caught.value.findings] == ["P005", "P001"]  # type: ignore[attr-defined]


def test_check_takes_what_the_kernel_says_is_there() -> None:
    """Names are checked against the scope; what the scope does not know is not found to be missing."""
    document = plan(step("a", "nowhere"), {"id": "b", "kind": "agent", "name": "nobody"})
    assert dag().check(document, PlanScope()) == []
    found = dag().check(document, PlanScope(tools=TOOLS, agents={}))
    assert [finding.code for finding in found] == ["P003", "P003"]
    denied = dag(permissions={"denied": ["send"]}).check(plan(step("a", "send")), PlanScope(tools=TOOLS))
    assert [finding.code for finding in denied] == ["P010"]


def test_plan_whose_tools_are_not_there_ends_with_all_findings() -> None:
    """A run never begins half: the findings are its error."""
    subject = dag()
    task = task_of(subject, plan(step("a"), step("b", "files.read", args={})), {"files.read": TOOLS["files.read"]})
    run = Play(subject, task)
    assert run.end is not None
    assert run.end.code == "AF-PLAN-INVALID"
    assert "P003" in str(run.end.error)
    assert "P004" in str(run.end.error)
    bare = Play(subject, Task("bare"))
    assert bare.end is not None
    assert "has none" in str(bare.end.error)


def test_graph_shows_steps_needs_and_the_live_position() -> None:
    """With a state each step is marked with how it stands."""
    document = plan(
        step("a"),
        step("b", needs=["a"]),
        step("c", args={"x": ref("b.result")}, routes=[{"to": "d", "when": "result > 1"}]),
        step("d"),
    )
    subject = dag()
    run = Play(subject, task_of(subject, document))
    run.finish("a", 1)
    picture = subject.graph(document, subject.dump(run.state))
    assert {name: shape.mark for name, shape in picture.shapes.items()} == {
        "a": "visited", "b": "working", "c": "", "d": ""
    }  # fmt: skip
    assert [(edge.source, edge.target, edge.label) for edge in picture.edges] == [
        ("c", "d", "result > 1"), ("a", "b", ""), ("b", "c", "")
    ]  # fmt: skip
    assert not any(shape.mark for shape in subject.graph(document).shapes.values())


def test_estimate_is_the_worst_case() -> None:
    """Branches count with the dearer one, loops with their bound, retries with all tries."""
    document = plan(
        step("a", routes=[{"to": "b", "when": "result > 1"}, {"to": "c"}], cost_estimate={"usd": 1, "seconds": 1}),
        step("b", cost_estimate={"usd": 2, "seconds": 10}),
        step("c", cost_estimate={"usd": 5, "seconds": 1}),
        step("d", args={"b": ref("b.result", default=0)}, retry={"attempts": 2, "wait_s": 3}, timeout=4,
             cost_estimate={"usd": 1}, routes=[{"to": "d", "when": "result > 1", "max": 2}]),
        {"id": "m", "kind": "model", "args": {"prompt": "?"}},
    )  # fmt: skip
    found: Any = dag(parallel=1).estimate(document, PlanScope(tools=TOOLS))
    assert found["usd"] == 1 + 5 + 3 * 2 * 1
    assert found["steps"] == 1 + 1 + 3 + 1
    assert found["calls"] == 1 + 1 + 6 + 1
    assert found["model_calls"] == 1
    assert found["unknown"] == {"usd": ["m"], "seconds": ["m"], "tokens": ["m"]}
    assert found["seconds"] == 1 + 10 + 3 * (2 * 4 + 3)


def test_events_are_told_only_where_somebody_listens() -> None:
    """Traces cost nothing where nobody wants them."""
    document = plan(step("a"), step("b", when="false == true or input.x"))
    assert play(document, {"x": False}).until_end().events == []
    subject = dag()
    run = Play(subject, task_of(subject, document), {"x": False}, traced=True).until_end()
    assert [name for name, _ in run.events] == [
        "plan.validated", "step.started", "step.skipped", "step.done", "plan.ended"
    ] or [name for name, _ in run.events] == [
        "plan.validated", "step.skipped", "step.started", "step.done", "plan.ended"
    ]  # fmt: skip
    json.dumps([dict(fields) for _, fields in run.events])
