"""Each optimisation keeps what a plan gives, and saves what it is for."""

from __future__ import annotations

import random
from typing import Any

import pytest
from dag_driver import Failure, Play, dag, play, task_of
from plans import TOOLS, plan, ref, step
from random_plans import WORLD_TOOLS, World, random_plan

from agentflow_kernel.contracts.tool import Tool
from agentflow_planner_llm.execution.values import state_of
from agentflow_planner_llm.optimisation import PASSES

PLANS = 250


def outcome(document: Any, seed: int, passes: Any, parallel: int, **settings: Any) -> tuple[Any, World]:
    """How a plan ends in a world of its own, the next action chosen by the seed."""
    world, order = World(), random.Random(seed)
    subject = dag(optimise=passes, parallel=parallel, **settings)
    run = Play(subject, task_of(subject, document, WORLD_TOOLS), None)
    run.until_end(world.perform, order.randrange)
    assert run.end is not None
    return (run.end.output if run.end.error is None else run.end.code, state_of(run.state.run), world.cells), world


@pytest.mark.parametrize("passes", [*((name,) for name in PASSES), tuple(PASSES)], ids="-".join)
@pytest.mark.parametrize("linear", [False, True], ids=["graph", "linear"])
def test_pass_keeps_output_state_and_world(passes: tuple[str, ...], linear: bool) -> None:
    """The same output, the same state of the plan and of the world, and the same order of changes to each cell."""
    saved = 0
    for seed in range(PLANS):
        document = random_plan(random.Random(seed), linear=linear, failing=False)
        plain, before = outcome(document, seed, (), 1)
        better, after = outcome(document, seed + 1, passes, 1 + seed % 5)
        assert plain[0] == better[0], (seed, document)
        assert plain[2] == better[2], (seed, document)
        if "prune" not in passes:
            assert plain[1] == better[1], (seed, document)
        for cell in {change[1] for change in before.changes}:
            assert [c for c in before.changes if c[1] == cell] == [c for c in after.changes if c[1] == cell]
        if linear:
            assert before.changes == after.changes, "calls with effects were reordered"
        assert after.calls <= before.calls
        saved += before.calls - after.calls
    if {"merge", "prune"} & set(passes) or (not linear and "batch" in passes):
        assert saved > 0


@pytest.mark.parametrize("name", ["needs", "order", "merge", "hoist", "batch"])
def test_pass_keeps_failures(name: str) -> None:
    """Where a plan fails without the pass it fails with it, and changes the world no more."""
    failed = 0
    for seed in range(PLANS):
        document = random_plan(random.Random(seed), linear=True, failing=True)
        plain, before = outcome(document, seed, (), 1)
        better, after = outcome(document, seed + 1, (name,), 3)
        assert (plain[0], plain[2], before.changes) == (better[0], better[2], after.changes), (seed, document)
        failed += plain[0] == "AF-TOOL-FAILED"
    assert failed > 10


def test_needs_between_pure_calls_are_dropped_and_no_others() -> None:
    """Pure calls run side by side; what has effects keeps its place among all of them."""
    document = plan(
        step("r1", "files.read", args={"path": "1"}), step("r2", "files.read", args={"path": "2"}),
        step("w1", "send", args={"n": 1}), step("r3", "files.read", args={"path": "1"}),
        step("w2", "send", args={"n": 1}), form="linear",
    )  # fmt: skip
    run = play(document, optimise=["needs"])
    assert list(run.open) == ["r1", "r2"]
    run.finish("r2")
    assert list(run.open) == ["r1"]
    run.finish("r1")
    assert list(run.open) == ["w1"]
    run.finish("w1")
    assert list(run.open) == ["r3"]
    run.finish("r3")
    assert list(run.open) == ["w2"]


def test_need_whose_failure_matters_is_kept() -> None:
    """A step that may be skipped, or go on after its failure, still decides about those that need it."""
    for fields in ({"on_error": "skip"}, {"on_error": "continue"}, {"when": "input == null"}):
        run = play(plan(step("a", **fields), step("b", args={"n": 1}, needs=["a"])), optimise=["needs"])
        assert list(run.open) == ["a"]
    assert list(play(plan(step("a"), step("b", args={"n": 1}, needs=["a"])), optimise=["needs"]).open) == ["a", "b"]


def test_longest_chain_begins_first() -> None:
    """With room for one step, the head of the chain goes before a step that nothing waits for; effects keep order."""
    document = plan(step("x"), step("a", args={"n": 1}), step("b", needs=["a"]), step("c", needs=["b"]))
    assert play(document, optimise=["order"], parallel=1).until_end().ids[0] == "a"
    assert play(document, optimise=[], parallel=1).until_end().ids[0] == "x"
    document = plan(step("x", "send"), step("a", "send"), step("b", needs=["a"]), step("c", needs=["b"]))
    assert play(document, optimise=["order"], parallel=1).until_end().ids[:2] == ["x", "a"]
    seconds = plan(step("x"), step("y", args={"n": 1}, cost_estimate={"seconds": 60}))
    assert play(seconds, optimise=["order"], parallel=1).until_end().ids == ["y", "x"]


def test_identical_calls_are_made_once_under_both_ids() -> None:
    """Both ids give the one result; calls with effects, or with one between them, are made twice."""
    document = plan(
        step("a", args={"x": 1, "y": 2}), step("b", args={"y": 2, "x": 1.0}), step("c", args={"x": 1, "y": 3}),
        output=[ref("a.result"), ref("b.result"), ref("c.result")],
    )  # fmt: skip
    run = play(document, optimise=["merge"]).until_end()
    assert run.ids == ["a", "c"]
    assert run.output == ["result of a", "result of a", "result of c"]
    assert run.statuses == {"a": "done", "b": "done", "c": "done"}
    effects = plan(step("a", "send", args={"x": 1}), step("b", "send", args={"x": 1}))
    assert play(effects, optimise=["merge"]).until_end().ids == ["a", "b"]
    between = plan(step("a"), step("w", "send", needs=["a"]), step("b", needs=["w"]))
    assert play(between, optimise=["merge"]).until_end().ids == ["a", "w", "b"]
    idempotent = plan(step("a", "files.touch", args={"x": 1}), step("b", "files.touch", args={"x": 1}))
    assert play(idempotent, optimise=["merge"]).until_end().ids == ["a"]


def test_merged_calls_fail_together() -> None:
    """The failure of the one call is that of both."""
    run = play(plan(step("a", on_error="skip"), step("b", on_error="skip"), step("c", args={"x": ref("b.result")})),
               optimise=["merge"])  # fmt: skip
    run.until_end(lambda action: Failure())
    assert run.statuses == {"a": "failed", "b": "failed", "c": "skipped"}


def test_unused_calls_without_effects_are_left_out() -> None:
    """What nobody uses is not done, unless it has effects, checks something, or others need it."""
    document = plan(
        step("unused"), step("deeper", args={"x": ref("feeds.result")}), step("feeds"), step("send", "send"),
        step("check", expect="result == 1"), step("gate"), step("act", "send", needs=["gate"]), step("used"),
        output=ref("used.result"),
    )  # fmt: skip
    run = play(document, optimise=["prune"]).until_end(lambda action: 1)
    assert sorted(run.ids) == ["act", "check", "gate", "send", "used"]
    both = play(document, optimise=["needs", "prune", "merge"]).until_end(lambda action: 1)
    assert "gate" in both.statuses
    assert "prune" not in str(play(plan(step("a"), step("b", args={"n": 1})), optimise=["prune"]).until_end().ids)
    assert play(plan(step("a"), step("b", args={"n": 1})), optimise=["prune"]).until_end().ids == ["a", "b"]


def test_gate_of_a_call_with_effects_is_never_pruned() -> None:
    """A check that was put before a pure call before a call with effects still keeps the latter from running."""
    document = plan(step("gate"), step("look", args={"n": 1}, needs=["gate"]), step("act", "send", needs=["look"]),
                    output=ref("act.result"))  # fmt: skip
    run = play(document, optimise=list(PASSES))
    run.until_end(lambda action: Failure() if action.id == "gate" else 1)
    assert run.end is not None
    assert run.end.error is not None
    assert "act" not in run.ids


def test_constant_calls_are_hoisted_out_of_loops() -> None:
    """A call without effects whose arguments do not change is made once, where nothing in the loop has effects."""
    document = plan(
        step("start"),
        step("rules", args={"n": 1}, needs=["start"]),
        step("draft", args={"rules": ref("rules.result"), "notes": ref("state.notes", default=0)}),
        step("review", args={"of": ref("draft.result"), "by": ref("rules.result")}, writes=["notes"],
             routes=[{"to": "rules", "when": "result < 3", "max": 5}]),
    )  # fmt: skip
    document["steps"][3]["routes"][0]["to"] = "rules"

    def ids(passes: list[str], document: Any) -> list[str]:
        count = iter(range(1, 99))
        answers = {"review": count}
        run = play(document, optimise=passes).until_end(
            lambda action: next(answers["review"]) if action.id.startswith("review") else 0
        )
        assert run.end is not None
        assert run.end.error is None
        return [name for name in run.ids if name.startswith("rules")]

    assert ids([], document) == ["rules", "rules#2", "rules#3"]
    assert ids(["hoist"], document) == ["rules"]
    document["steps"][2]["name"] = "send"
    assert ids(["hoist"], document) == ["rules", "rules#2", "rules#3"]


@pytest.mark.parametrize("passes", [(), ("hoist",), tuple(PASSES)], ids=["none", "hoist", "all"])
def test_hoisted_call_keeps_the_order_of_its_loop(passes: tuple[str, ...]) -> None:
    """What comes after a kept call in the loop still waits for what is done again before it."""
    document = plan(
        step("slow", args={"v": 1}, writes=["log"]),
        step("rules", "files.read", args={"path": "rules"}),
        step("poll", args={"d": ref("rules.result")}, routes=[{"to": "slow", "when": "result < 3", "max": 9}]),
        form="linear", state={"log": {"reducer": "append"}}, output=ref("state.log"),
    )  # fmt: skip
    count = iter(range(1, 99))
    run = play(document, optimise=passes)
    run.until_end(lambda action: next(count) if action.id.startswith("poll") else action.id, lambda count: count - 1)
    assert run.output == ["slow", "slow#2", "slow#3"]
    assert run.most == 1
    assert ("rules#2" in run.ids) is (not passes)


@pytest.mark.parametrize("reload", [False, True])
def test_cache_keeps_a_result_for_the_call_that_was_made(reload: bool) -> None:
    """A step that writes what its arguments were made of is remembered by the arguments that it had."""
    document = plan(
        step("add", args={"v": ref("state.k")}, writes=["k"]),
        step("look", "send", args={"x": ref("add.result")}, routes=[{"to": "add", "when": "result < 3", "max": 9}]),
        state={"k": {"initial": 0}}, output=ref("state.k"),
    )  # fmt: skip
    run = play(document, optimise=["cache"], cache=["count"], reload=reload)
    run.until_end(lambda action: action.arguments["v"] + 1 if "v" in action.arguments else action.arguments["x"])
    assert run.output == 3
    assert run.ids == ["add", "look", "add#2", "look#2", "add#3", "look#3"]


def test_named_tools_are_asked_once_for_equal_arguments() -> None:
    """The cache answers calls whose arguments turn out equal only when they are made."""
    document = plan(step("a"), step("b", args={"x": ref("a.result")}), step("c", args={"x": 5}, needs=["b"]))
    run = play(document, optimise=["cache"], cache=["coun*"])
    run.finish("a", 5)
    run.finish("b", "answer")
    assert run.output == {"c": "answer"}
    assert run.ids == ["a", "b"]
    assert play(document, optimise=["cache"], cache=["files.*"]).until_end(lambda action: 5).ids == ["a", "b", "c"]


@pytest.mark.parametrize("reload", [False, True])
def test_an_equal_call_that_is_under_way_is_waited_for(reload: bool) -> None:
    """Calls that turn out equal at the same time are made once; where the first fails, the next makes its own."""
    document = plan(
        step("a", args={"x": ref("input")}), step("b", args={"x": ref("input")}, on_error="continue"),
        step("c", args={"x": ref("input")}, on_error="continue"), step("d", args={"x": 1}, needs=["b"]),
    )  # fmt: skip
    run = play(document, 5, optimise=["cache"], cache=["count"], reload=reload)
    assert list(run.open) == ["a"]
    run.finish("a", "answer")
    assert list(run.open) == ["d"]
    run.finish("d", "last")
    assert run.output == {"a": "answer", "c": "answer", "d": "last"}
    document["steps"][0]["on_error"] = "continue"
    run = play(document, 5, optimise=["cache"], cache=["count"], reload=reload)
    run.finish("a", Failure())
    assert list(run.open) == ["b"]
    run.finish("b", "answer")
    run.finish("d", "last")
    assert run.output == {"a": None, "c": "answer", "d": "last"}


BATCH = {"type": "object", "x-batch": {"tool": "get_many", "parameter": "url", "list": "urls"}}
BATCHED = {
    **TOOLS,
    "get": Tool("get", "", BATCH, effect="pure"),
    "get_many": Tool("get_many", "", {"type": "object"}, effect="pure"),
}


def batched(*, reload: bool = False, **settings: Any) -> Play:
    document = plan(
        step("a", "get", args={"url": "1", "by": "x"}), step("b", "get", args={"url": "2", "by": "x"}),
        step("c", "get", args={"url": "3", "by": "y"}), step("d", args={"all": [ref("a.result"), ref("b.result")]}),
    )  # fmt: skip
    subject = dag(**{"optimise": ["batch"], **settings})
    return Play(subject, task_of(subject, document, BATCHED), reload=reload)


@pytest.mark.parametrize("reload", [False, True])
def test_calls_that_are_ready_together_are_made_in_batch_form(reload: bool) -> None:
    """Calls that differ in the one argument become one call; each step gets its part of the answer."""
    run = batched(reload=reload)
    assert [(action.id, action.name, dict(action.arguments)) for action in run.started] == [
        ("a.batch", "get_many", {"by": "x", "urls": ["1", "2"]}),
        ("c", "get", {"url": "3", "by": "y"}),
    ]
    run.finish("a.batch", ["one", "two"])
    assert run.started[-1].arguments == {"all": ["one", "two"]}


@pytest.mark.parametrize("outcome", [Failure(), ["only one"], None])
@pytest.mark.parametrize("settings", [{}, {"optimise": ["batch", "cache"], "cache": ["get"]}])
def test_batch_that_gives_no_results_is_done_one_by_one(outcome: Any, settings: dict[str, Any]) -> None:
    """Whatever is wrong with a batch, its steps have the results that they have alone."""
    run = batched(reload=True, **settings)
    run.finish("a.batch", outcome)
    assert run.ids[2:] == ["a#2", "b"]
    run.until_end()
    assert run.end is not None
    assert run.end.error is None
