"""The strategies: how many calls of the model each makes, what it does with bad answers, and when it plans anew."""

from __future__ import annotations

from typing import Any

import pytest
from dag_driver import Failure, Never, Play, shown
from strategy_driver import Model, calls, run, says, strategy_task, think, tool

from agentflow_kernel.contracts.planner import Observation
from agentflow_planner_llm.strategies.adapt import Adapt
from agentflow_planner_llm.strategies.call_reader import CallReader
from agentflow_planner_llm.strategies.compiler import Compiler
from agentflow_planner_llm.strategies.plan_and_execute import PlanAndExecute
from agentflow_planner_llm.strategies.reflexion import Reflexion
from agentflow_planner_llm.strategies.rewoo import Rewoo
from agentflow_planner_llm.strategy_settings import (
    AdaptSettings,
    PlanAndExecuteSettings,
    PlannedSettings,
    ReflexionSettings,
)

KEEP = {"decision": "keep"}


def rewoo(**settings: Any) -> Rewoo:
    return Rewoo(PlannedSettings.model_validate(settings))


def compiler(**settings: Any) -> Compiler:
    return Compiler(PlannedSettings.model_validate(settings))


def executing(**settings: Any) -> PlanAndExecute:
    return PlanAndExecute(PlanAndExecuteSettings.model_validate({"observe": False, **settings}))


def adapt(**settings: Any) -> Adapt:
    return Adapt(AdaptSettings.model_validate(settings))


def reflexion(**settings: Any) -> Reflexion:
    return Reflexion(ReflexionSettings.model_validate(settings))


def steps(count: int) -> dict[str, Any]:
    return {"steps": [tool(f"E{n}", args={"n": n}) for n in range(1, count + 1)]}


# -- how many calls of the model -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 10])
def test_rewoo_asks_the_model_twice_for_any_number_of_steps(count: int) -> None:
    """One call that plans, one that solves; the tools run without it."""
    model = Model(plan=[steps(count)], solve=["42"])
    played = run(rewoo(), model)
    assert model.names == ["plan", "solve"]
    assert played.output["text"] == "42"
    assert (played.output["model_calls"], played.output["tool_calls"]) == (2, count)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_compiler_asks_the_model_twice_a_round(rounds: int) -> None:
    """One call that plans and one that joins; a new round where the results are not enough."""
    plans = [f'{n}. count({{"n": {n}}})' for n in range(1, rounds + 1)]
    joins: list[Any] = [{"decision": "replan", "feedback": "more"}] * (rounds - 1)
    model = Model(plan=plans, join=[*joins, {"decision": "finish", "answer": "42"}])
    played = run(compiler(), model)
    assert model.names == ["plan", "join"] * rounds
    assert (played.output["text"], played.output["model_calls"]) == ("42", 2 * rounds)
    assert [version["cause"] for version in played.output["plans"]] == ["first", *["more"] * (rounds - 1)]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_plan_and_execute_asks_once_for_the_plan_and_once_a_step(count: int) -> None:
    """1 + n calls, and n more where the plan is looked at after each step."""
    plan = {"steps": [think(f"s{n}") for n in range(count)]}
    scripts = {f"s{n}"[:-1]: ["done"] for n in range(count)}
    model = Model(plan=[plan], observe=[KEEP], **scripts)
    played = run(executing(), model)
    assert played.output["model_calls"] == 1 + count
    assert model.names == ["plan", *(f"s{n}" for n in range(count))]
    model = Model(plan=[plan], observe=[KEEP], **scripts)
    played = run(executing(observe=True), model)
    assert played.output["model_calls"] == 1 + 2 * count
    assert model.names == ["plan", *(name for n in range(count) for name in (f"s{n}", "observe"))]
    assert played.output["text"] == "done"


def test_adapt_asks_once_where_the_task_succeeds_and_more_only_as_needed() -> None:
    """A task that can be done takes one call; one that fails is taken apart, each part tried in the same way."""
    model = Model(**{"try": [{"succeeded": True, "answer": "42"}]})
    assert run(adapt(), model).output["model_calls"] == 1
    failing = {"succeeded": False, "answer": "too big"}
    good = {"succeeded": True, "answer": "part"}
    model = Model(
        **{"try": [failing, good, good]}, split=[{"operator": "and", "subtasks": ["a", "b"]}], answer=["whole"]
    )
    played = run(adapt(), model)
    assert model.names == ["try1", "split", "try2", "try3", "answer"]
    assert played.output["text"] == "whole"
    assert "too big" in model.prompt(1)
    assert "part" in model.prompt(3)


@pytest.mark.parametrize("episodes", [1, 2, 3])
def test_reflexion_takes_as_many_episodes_as_it_needs(episodes: int) -> None:
    """Each episode is one loop and one judgement; what was learned is shown to the next ones."""
    fails = [{"verdict": "fail", "reflection": f"lesson {n}"} for n in range(1, episodes)]
    model = Model(episode=["an answer"], judge=[*fails, {"verdict": "pass", "reflection": ""}])
    played = run(reflexion(), model)
    assert model.names == [name for n in range(1, episodes + 1) for name in (f"episode{n}", "judge")]
    assert played.output["model_calls"] == 2 * episodes
    for number in range(1, episodes):
        assert f"lesson {number}" in model.prompt(2 * (episodes - 1))


# -- bad answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("no json at all", "is not JSON"),
        ({"plan": []}, "/steps"),
        ({"steps": [tool("a", "serch")]}, "P003"),
        ({"steps": [tool("a"), tool("a")]}, "P002"),
        ({"steps": [tool("a", "files.read", args={"path": 1})]}, "P004"),
        ({"steps": [tool("a", args={"x": {"$ref": "b.result"}})]}, "P005"),
        ({"steps": [tool("a", needs=["a"])]}, "P005"),
        ({"steps": [tool("a", "send", idempotent=True)]}, "idempotent"),
    ],
)
def test_bad_plan_is_refused_and_asked_for_again_with_the_findings(bad: Any, told: str) -> None:
    """The model is told what is wrong, with the code; a good plan is then followed."""
    model = Model(plan=[bad, steps(1)], solve=["42"])
    played = run(rewoo(), model)
    assert model.names == ["plan", "plan", "solve"]
    assert told in model.prompt(1)
    assert played.output["stop_reason"] == "end"


def test_cycle_in_a_models_plan_is_refused() -> None:
    """Calls that wait for each other never start."""
    model = Model(plan=['1. count({"x": $2})\n2. count({"x": $1})', '1. count({"n": 1})'],
                  join=[{"decision": "finish", "answer": "42"}])  # fmt: skip
    run(compiler(), model)
    assert "P006" in model.prompt(1)


@pytest.mark.parametrize("make", [rewoo, executing, compiler])
def test_plan_that_stays_bad_ends_the_run(make: Any) -> None:
    """At most so many repairs; the last findings are the error."""
    bad = "1. serch({})" if make is compiler else {"steps": [tool("a", "serch")]}
    model = Model(plan=[bad])
    played = run(make(repairs=2), model)
    assert model.names == ["plan"] * 3
    assert played.end is not None
    assert (played.end.code, played.end.stop_reason) == ("AF-PLAN-INVALID", "invalid_plan")
    assert "P003" in str(played.end.error)


def test_tool_that_a_plan_may_not_call_is_refused() -> None:
    """Permissions hold for a model's plans."""
    model = Model(plan=[{"steps": [tool("a", "send")]}])
    played = run(rewoo(permissions={"denied": ["send"]}, repairs=0), model)
    assert played.end is not None
    assert "P010" in str(played.end.error)
    assert played.ids == ["plan.1"]


def test_judge_that_gives_no_verdict_passes_nothing() -> None:
    """A judgement that cannot be read is asked for again, and `unsure` is no pass."""
    model = Model(episode=["x"], judge=["hm", {"verdict": "unsure", "reflection": "who knows"}])
    played = run(reflexion(episodes=1), model)
    assert played.end is not None
    assert played.end.stop_reason == "episodes"
    assert played.end.output["text"] == "x"


def test_answer_fits_the_output_schema_or_is_mended() -> None:
    """Every strategy gives its answer in the wanted form."""
    schema = {"type": "object", "required": ["n"]}
    model = Model(plan=[steps(1)], solve=["forty-two", {"n": 42}])
    assert run(rewoo(), model, output_schema=schema).output["output"] == {"n": 42}
    for subject, model in (
        (executing(), Model(plan=[{"steps": [think("s1")]}], s=["42"], form=['{"n": 42}'])),
        (compiler(), Model(plan=["1. count({})"], join=[{"decision": "finish", "answer": "42"}], form=[{"n": 42}])),
        (adapt(), Model(**{"try": [{"succeeded": True, "answer": "42"}]}, form=[{"n": 42}])),
        (reflexion(), Model(episode=["42"], judge=[{"verdict": "pass", "reflection": ""}], form=[{"n": 42}])),
    ):
        assert run(subject, model, output_schema=schema).output["output"] == {"n": 42}


# -- what they do ----------------------------------------------------------------------------------------------------


def test_rewoo_shows_failures_as_evidence() -> None:
    """A tool that fails is found like anything else, and those after it see null."""
    plan = {"steps": [tool("E1"), tool("E2", args={"x": {"$ref": "E1.result"}})]}
    model = Model(lambda action: Failure("gone") if action.id == "E1" else "two", plan=[plan], solve=["42"])
    played = run(rewoo(), model)
    assert played.ids == ["plan.1", "E1", "E2", "solve.2"]
    assert "gone" in model.prompt(1)
    assert played.output["stop_reason"] == "end"


def test_compiler_runs_independent_calls_side_by_side() -> None:
    """A call starts as soon as what it refers to is there."""
    text = 'Three.\n1. count({"n": 1})\n2. send({"n": 2})\n3. send({"x": $1, "y": [$2.deep[0], "$1"]})\n4. join()'
    model = Model(plan=[text], join=[{"decision": "finish", "answer": "42"}])
    played = Play(compiler(optimise=[]), strategy_task(), "the task")
    played.finish("plan.1", says(text))
    assert list(played.open) == ["s1", "s2"]
    played.finish("s2", {"deep": ["b"]})
    played.finish("s1", "a")
    assert played.started[-1].arguments == {"x": "a", "y": ["b", "$1"]}
    assert played.until_end(model).output["text"] == "42"


def test_plan_and_execute_steps_are_loops_with_tools() -> None:
    """A step may call tools; later steps see the results of earlier ones."""
    plan = {"steps": [think("a"), think("b", "Say it.")]}
    model = Model(lambda action: "a poem", plan=[plan], a=[calls(("files.read", {"path": "a.txt"})), "It is a poem."],
                  b=["A poem."])  # fmt: skip
    played = run(executing(), model)
    assert played.ids == ["plan.1", "a.model-1", "a.tool-1-0", "a.model-2", "b.model-1"]
    assert "It is a poem." in model.prompt(3)
    assert played.output["tool_calls"] == 1
    assert played.output["text"] == "A poem."


def test_observer_may_end_the_run_before_the_plan_does() -> None:
    """With an answer, the rest of the plan is not done."""
    plan = {"steps": [think("a"), think("b")]}
    model = Model(plan=[plan], a=["found"], observe=[{"decision": "finish", "answer": "That is it."}])
    played = run(executing(observe=True), model)
    assert model.names == ["plan", "a", "observe"]
    assert played.output["text"] == "That is it."


def test_adapt_tries_ways_until_one_succeeds() -> None:
    """With `or` the first success ends the task, with `and` the first failure; depth is limited."""
    failing, good = {"succeeded": False, "answer": "no"}, {"succeeded": True, "answer": "yes"}
    model = Model(**{"try": [failing, failing, good]}, split=[{"operator": "or", "subtasks": ["a", "b", "c"]}],
                  answer=["whole"])  # fmt: skip
    assert run(adapt(max_depth=1), model).output["stop_reason"] == "end"
    assert model.names == ["try1", "split", "try2", "try3", "answer"]
    model = Model(**{"try": [failing]}, split=[{"operator": "and", "subtasks": ["a", "b"]}])
    played = run(adapt(max_depth=1), model)
    assert model.names == ["try1", "split", "try2"]
    assert played.end is not None
    assert (played.end.code, played.end.stop_reason) == ("AF-PLAN-FAILED", "failed")
    assert run(adapt(max_depth=0), Model(**{"try": [failing]})).ids == ["try1.model-1"]


def test_adapt_goes_down_and_up_again() -> None:
    """A part that fails is taken apart in its turn; its result goes up to the parts after it."""
    failing, good = {"succeeded": False, "answer": "no"}, {"succeeded": True, "answer": "yes"}
    splits = [{"operator": "and", "subtasks": ["a", "b"]}, {"operator": "and", "subtasks": ["c", "d"]}]
    model = Model(**{"try": [failing, failing, good, good, good]}, split=splits, answer=["whole"])
    played = run(adapt(max_depth=2), model)
    assert model.names == ["try1", "split", "try2", "split", "try3", "try4", "try5", "answer"]
    assert played.output["text"] == "whole"


def test_adapt_refuses_parts_that_are_the_task_itself() -> None:
    """Taking apart goes round in no circle."""
    failing, good = {"succeeded": False, "answer": "no"}, {"succeeded": True, "answer": "yes"}
    splits = [{"operator": "and", "subtasks": ["the task"]}, {"operator": "and", "subtasks": ["a"]}]
    model = Model(**{"try": [failing, good]}, split=splits, answer=["whole"])
    run(adapt(), model)
    assert model.names == ["try1", "split", "split", "try2", "answer"]


def test_reflexion_keeps_the_last_reflections_only() -> None:
    """What is older than the memory is forgotten."""
    verdicts = [{"verdict": "fail", "reflection": f"lesson {n}"} for n in range(1, 5)]
    model = Model(episode=["x"], judge=verdicts)
    played = run(reflexion(episodes=4, memory=2), model)
    assert "lesson 1" not in model.prompt(6)
    assert "lesson 2" in model.prompt(6)
    assert "lesson 3" in model.prompt(6)
    assert played.end is not None
    assert (played.end.code, played.end.stop_reason) == ("AF-PLAN-FAILED", "episodes")


def test_reflexion_that_repeats_itself_stops() -> None:
    """The same answer with the same reflection: another attempt would bring nothing new."""
    model = Model(episode=["x"], judge=[{"verdict": "fail", "reflection": "same"}])
    played = run(reflexion(episodes=9), model)
    assert model.names == ["episode1", "judge", "episode2", "judge"]
    assert played.end is not None
    assert played.end.stop_reason == "loop"


# -- planning anew ---------------------------------------------------------------------------------------------------


def test_failed_step_leads_to_a_new_plan_that_uses_what_is_done() -> None:
    """What is done keeps its id and its result, and is not done again; the model is told why a new plan is wanted."""
    first = {"steps": [tool("a", "send", args={"n": 1}), tool("b", "files.read", args={"path": "x"})]}
    second = {"steps": [tool("c", args={"of": {"$ref": "a.result"}})]}
    model = Model(lambda action: Failure("no such file") if action.id == "b" else f"result of {action.id}",
                  plan=[first, second])  # fmt: skip
    played = run(executing(), model)
    assert played.ids == ["plan.1", "a", "b", "plan.2", "c"]
    assert played.started[-1].arguments == {"of": "result of a"}
    assert "no such file" in model.prompt(1)
    assert '"a":"result of a"' in model.prompt(1)
    causes = [version["cause"] for version in played.output["plans"]]
    assert causes[0] == "first"
    assert "'b' failed" in causes[1]
    assert len({version["hash"] for version in played.output["plans"]}) == 2


def test_new_plan_may_not_repeat_an_effect_or_reuse_an_id() -> None:
    """A call with an effect that is done is refused as P012, another step under its id as P002."""
    first = {"steps": [tool("a", "send", args={"n": 1}), tool("b")]}
    again = {"steps": [tool("z", "send", args={"n": 1})]}
    reused = {"steps": [tool("a", "count")]}
    good = {"steps": [{**tool("a", "send", args={"n": 1}), "on_error": "replan"}, tool("d", args={"n": 2})]}
    model = Model(lambda action: Failure() if action.id == "b" else "sent", plan=[first, again, reused, good])
    played = run(executing(), model)
    assert "P012" in model.prompt(2)
    assert "P002" in model.prompt(3)
    assert [name for name in played.ids if name in {"a", "z", "d", "b"}] == ["a", "b", "d"]
    assert played.output["text"] == "sent"


def test_no_more_plans_than_allowed() -> None:
    """After `max_replans` the failure ends the run."""
    plans = [{"steps": [tool(f"b{n}", args={"n": n})]} for n in range(9)]
    model = Model(lambda action: Failure("always"), plan=plans)
    played = run(executing(max_replans=2), model)
    assert model.names == ["plan"] * 3
    assert played.end is not None
    assert played.end.stop_reason == "replans"
    assert len(played.end.output["plans"]) == 3


def test_identical_plan_ends_the_run() -> None:
    """The same plan twice would fail in the same way."""
    model = Model(lambda action: Failure("always"), plan=[{"steps": [tool("b")]}])
    played = run(executing(), model)
    assert model.names == ["plan"] * 2
    assert played.end is not None
    assert (played.end.code, played.end.stop_reason) == ("AF-PLAN-REPEATED", "loop")


def test_new_input_leads_to_a_new_plan() -> None:
    """A signal named `input` becomes part of the task; without the setting it is left aside."""
    played = Play(executing(listen=True), strategy_task(), "the task")
    assert played.decisions[0].waits == ({"type": "signal", "name": "input"},)
    played.finish("plan.1", says({"steps": [tool("a"), tool("b", args={"n": 1})]}))
    played.finish("a", 1)
    decision = played.give(Observation("signal", "input", "Hurry."))
    assert [action.id for action in decision.start] == ["plan.2"]
    told: Any = decision.start[0].arguments["messages"]
    assert "Said later: Hurry." in told[-1]["text"]
    assert '"a":1' in told[-1]["text"]
    decision = played.finish("plan.2", says({"steps": [tool("c", args={"of": {"$ref": "a.result"}})]}))
    assert decision.cancel == ("b",)
    assert played.finish("c", 2).end is not None
    assert played.output["plans"][1]["cause"] == "There is new input: Hurry."
    deaf = Play(executing(), strategy_task(), "the task")
    deaf.finish("plan.1", says({"steps": [tool("a")]}))
    assert deaf.give(Observation("signal", "input", "Hurry.")).start == ()


def test_budget_that_runs_short_leads_to_a_shorter_plan_once() -> None:
    """When only the reserve is left the model is told so, and makes do with what is left."""
    plans = [{"steps": [tool(f"s{n}", args={"n": n}) for n in range(9)]}, {"steps": [tool("z")]}]
    model = Model(plan=plans)
    played = run(executing(budgets={"tool_calls": 4}, reserve=0.5), model)
    assert model.names == ["plan", "plan"]
    assert "'tool_calls'" in model.prompt(1)
    assert played.output["stop_reason"] == "end"
    assert played.output["tool_calls"] <= 4


def test_running_steps_are_kept_or_cancelled_by_a_new_plan() -> None:
    """A step that the new plan has unchanged goes on; one that it has not is cancelled."""
    text = '1. send({"n": 1})\n2. send({"n": 2})\n3. count({})'
    played = Play(compiler(optimise=[]), strategy_task(), "the task")
    played.finish("plan.1", says(text))
    assert list(played.open) == ["s1", "s2", "s3"]
    run_ = played.state.run
    run_.program.steps[2].on_error = "replan"
    played.finish("s3", Failure("no"))
    assert "plan.2" in played.open
    decision = played.finish("plan.2", says('1. send({"n": 1})\n4. count({"x": $1})'))
    assert decision.cancel == ("s2",)
    assert list(played.open) == ["s1"]
    played.finish("s1", "one")
    assert played.started[-1].id == "s4"
    assert played.started[-1].arguments == {"x": "one"}


def test_plan_of_a_model_waits_for_approval() -> None:
    """Each version needs its own: the run may not leave the plan that was approved."""
    model = Model(lambda action: Failure() if action.id == "a" else 1, plan=[
        {"steps": [tool("a")]}, {"steps": [tool("b")]}
    ])  # fmt: skip
    played = Play(executing(approval=True), strategy_task(), "the task")
    for number in (1, 2):
        (action,) = played.open.values()
        played.finish(action.id, model(action))
        (ask,) = played.open.values()
        assert (ask.id, ask.kind) == (f"approve.{number}", "ask")
        choices: Any = ask.arguments["choices"]
        played.finish(ask.id, choices[0])
        (step,) = played.open.values()
        played.finish(step.id, model(step))
    assert played.output["text"] == "1"
    refused = Play(executing(approval=True), strategy_task(), "the task")
    refused.finish("plan.1", says({"steps": [tool("a")]}))
    refused.finish("approve.1", "reject")
    assert refused.end is not None
    assert refused.end.code == "AF-APPROVAL-REFUSED"


# -- budgets, restoring, errors --------------------------------------------------------------------------------------

SUBJECTS: list[tuple[Any, dict[str, Any]]] = [
    (rewoo, {"plan": [steps(3)], "solve": ["42"]}),
    (compiler, {"plan": ['1. count({})\n2. send({"x": $1})', "3. count({})"],
                "join": [{"decision": "replan", "feedback": "f"}, {"decision": "finish", "answer": "x"}]}),
    (executing, {"plan": [{"steps": [think("a"), tool("c"), think("b")]}], "observe": [KEEP],
                 "a": [calls(("count", {})), "x"], "b": ["y"]}),
    (lambda **s: executing(observe=True, **s), {"plan": [{"steps": [think("a"), tool("c"), think("b")]}],
                                                "observe": [KEEP, {"decision": "replan", "reason": "r"}],
                                                "a": [calls(("count", {})), "x"], "b": ["y"]}),
    (adapt, {"try": [calls(("count", {})), {"succeeded": False, "answer": "n"}, {"succeeded": True, "answer": "y"}],
             "split": [{"operator": "and", "subtasks": ["a", "b"]}], "answer": ["whole"]}),
    (reflexion, {"episode": [calls(("count", {})), "x"], "judge": [{"verdict": "fail", "reflection": "r"},
                                                                  {"verdict": "pass", "reflection": ""}]}),
]  # fmt: skip
NAMES = ["rewoo", "compiler", "plan-and-execute", "observed", "adapt", "reflexion"]


@pytest.mark.parametrize(("make", "scripts"), SUBJECTS, ids=NAMES)
def test_strategy_that_is_restored_after_every_step_decides_the_same(make: Any, scripts: dict[str, Any]) -> None:
    """Stored as JSON and loaded before each observation, every decision is the same."""
    runs = [run(make(), Model(**scripts), reload=reload) for reload in (False, True)]
    assert [shown(each) for each in runs[0].decisions] == [shown(each) for each in runs[1].decisions]


@pytest.mark.parametrize(("make", "scripts"), SUBJECTS, ids=NAMES)
def test_budgets_end_a_strategy_before_the_call_they_pay_for(make: Any, scripts: dict[str, Any]) -> None:
    """Calls, tokens, cost and tools are counted over questions, loops and plans; the partial result is given."""
    for budget, allowed in (("model_calls", 1), ("tokens", 15), ("cost_usd", 0.05), ("tool_calls", 0)):
        model = Model(**scripts)
        played = run(make(budgets={budget: allowed}), model)
        assert played.end is not None
        assert played.end.stop_reason == f"budget.{budget}", budget
        assert played.end.error is None
        assert played.end.output["stop_reason"] == f"budget.{budget}"
        if budget != "tool_calls":
            assert len(model.asked) == 1
        assert not any(action.kind == "tool" for action in played.started if budget == "tool_calls")


@pytest.mark.parametrize(("make", "scripts"), SUBJECTS, ids=NAMES)
def test_wall_time_ends_a_strategy(make: Any, scripts: dict[str, Any]) -> None:
    """Whatever is under way is cancelled when the time of the run is over."""
    model = Model(lambda action: Never(), **scripts)
    played = run(make(budgets={"wall_s": 60}), model)
    assert played.end is not None
    assert played.end.stop_reason == "budget.wall"
    assert set(played.decisions[-1].cancel) == set(played.open)
    assert played.open


@pytest.mark.parametrize(("make", "scripts"), SUBJECTS, ids=NAMES)
def test_error_and_refusal_of_the_model_end_a_strategy(make: Any, scripts: dict[str, Any]) -> None:
    """An error of the first call keeps its code; in the loop of a part it is the failure of that part."""
    first = next(iter(scripts))
    error = Failure("down", "AF-PEER-UNAVAILABLE", "no")
    played = run(make(), Model(**{**scripts, first: [error]}))
    assert played.end is not None
    assert played.end.error is not None


@pytest.mark.parametrize(("make", "scripts"), SUBJECTS, ids=NAMES)
def test_what_answers_nothing_is_left_aside(make: Any, scripts: dict[str, Any]) -> None:
    """Signals and answers to actions that are not open change nothing."""
    model = Model(**scripts)
    played = Play(make(), strategy_task(), "the task")
    for noise in (Observation("signal", "x", 1), Observation("result", "nobody", 1), Observation("error", "a.b", {})):
        decision = played.give(noise)
        assert (decision.start, decision.cancel, decision.end) == ((), (), None)
    assert played.until_end(model).end is not None
    assert played.give(Observation("result", "plan.1", 1)).end is None


# -- the reader of calls ---------------------------------------------------------------------------------------------


def test_calls_are_read_as_they_are_written_whatever_the_pieces() -> None:
    """A call is there with the end of its line; pieces of any size give the same calls."""
    text = (
        'Thought: first look.\n1. files.read({"path": "a.txt"})\n2) files.read(path="b.txt", lines=3)\n'
        '3. send({"a": $1, "b": [${2}.items[0].name, "$1", {"c": $1}], "d": "costs $2"})\n4. join()\n5. send({})\n'
    )
    expected = [
        (1, "files.read", {"path": "a.txt"}),
        (2, "files.read", {"path": "b.txt", "lines": 3}),
        (
            3,
            "send",
            {
                "a": {"$ref": "s1.result"},
                "b": [{"$ref": "s2.result.items[0].name"}, "$1", {"c": {"$ref": "s1.result"}}],
                "d": "costs $2",
            },
        ),
    ]
    for size in (1, 2, 7, 1_000):
        reader = CallReader()
        found = [call for at in range(0, len(text), size) for call in reader.feed(text[at : at + size])]
        found += reader.close()
        assert [(call.number, call.tool, call.args) for call in found] == expected
        assert reader.joined
        assert reader.problems == []


def test_call_is_given_as_soon_as_its_line_ends() -> None:
    """Nothing waits for the rest of the text."""
    reader = CallReader()
    assert reader.feed("1. count({})") == []
    assert [call.number for call in reader.feed("\n2. co")] == [1]
    assert [call.number for call in reader.close()] == []
    assert reader.problems


@pytest.mark.parametrize(
    "line",
    ["1. count(", '1. count({"a": )', "1. count(x)", "1. count({} {})", '1. count({"a": $})', "1. count([1])",
     "1. count(a=1 b=2)", '1. count({"a": [1, 2})', "1. count({'a': 1})", "1 count({})", "1. count(a=__import__('o'))"],
)  # fmt: skip
def test_line_that_is_no_call_is_a_problem(line: str) -> None:
    """It is told, and nothing of it is called or evaluated."""
    reader = CallReader()
    assert [*reader.feed(line), *reader.close()] == []
    assert len(reader.problems) == 1
