"""The state: written as JSON and read again after any step, it goes on with the same decisions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tool_loop_driver import (
    TOOLS,
    Cancelled,
    Failure,
    Play,
    call,
    calls,
    pending,
    planner,
    play,
    says,
    task,
)

from agentflow_kernel.contracts.planner import Decision, Observation, Task
from agentflow_kernel.contracts.provider import Usage
from agentflow_kernel.errors import NewerSchema, ProtocolViolation

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

names = st.sampled_from([*TOOLS, "no.such"])
arguments = st.sampled_from([{"path": "a"}, {"path": "b"}, {"path": 1}, {}, {"path": "a", "x": [1, {"y": None}]}])
tool_calls = st.builds(lambda name, given, place: (name, given, place), names, arguments, st.integers(0, 3))
usages = st.builds(Usage, st.integers(0, 40), st.integers(0, 40), st.just(0), st.sampled_from([None, 0.0, 0.1]))
stops = st.sampled_from(["end", "tool_calls", "max_tokens", "stop_sequence"])
texts = st.sampled_from(["", "thinking", "not json", '{"n": 1}', '{"n": "x"}', "ü"])
outcomes = st.one_of(
    st.sampled_from(["same", "other", {"n": 1}, None, "long " * 20]),
    st.builds(Failure, st.just("broke"), st.sampled_from(["AF-ELAPSED", "X"]), st.sampled_from(["no", "maybe", "yes"])),
    st.just(Cancelled()),
)
limits = st.fixed_dictionaries(
    {},
    optional={
        "max_iterations": st.integers(1, 8),
        "parallel_tools": st.integers(1, 4),
        "repairs": st.integers(0, 2),
        "repeat_limit": st.integers(2, 3),
        "tool_error_limit": st.integers(1, 4),
        "max_result_chars": st.integers(1, 40),
        "budgets": st.fixed_dictionaries(
            {},
            optional={
                "model_calls": st.integers(0, 8),
                "tool_calls": st.integers(0, 8),
                "tokens": st.integers(0, 300),
                "cost_usd": st.sampled_from([0.0, 0.25, 10.0]),
                "wall_s": st.just(5.0),
            },
        ),
    },
)


@st.composite
def turns(draw: st.DrawFn) -> dict[str, Any]:
    """One turn of a model: calls, sometimes with ids that clash, or text."""
    usage, stop, text = draw(usages), draw(stops), draw(texts)
    wanted = draw(st.lists(tool_calls, max_size=4))
    return calls(
        *(call(f"c{place}", name, **arguments) for name, arguments, place in wanted), text=text, stop=stop, usage=usage
    )


@st.composite
def scripts(draw: st.DrawFn) -> dict[str, Any]:
    """Everything that happens in a run, and when: settings, task, turns, outcomes, order of completion, a timer."""
    refusal = says("I will not.", stop="refusal")
    turn = st.one_of(turns(), turns(), turns(), st.sampled_from([refusal, Failure("gone", "AF-X"), Cancelled(), 7]))
    return {
        "settings": draw(limits),
        "schema": draw(st.sampled_from([None, SCHEMA])),
        "turns": draw(st.lists(turn, min_size=1, max_size=8)),
        "outcomes": draw(st.lists(outcomes, min_size=1, max_size=8)),
        "order": draw(st.lists(st.integers(0, 7), min_size=1, max_size=8)),
        "timer_after": draw(st.one_of(st.none(), st.integers(0, 12))),
    }


def act_out(script: dict[str, Any], *, reload: bool) -> Play:
    """Play a script; its lists are gone through again and again."""
    run = Play(planner(**script["settings"]), task(output_schema=script["schema"]), reload=reload)
    turns, outcomes, order = script["turns"], script["outcomes"], script["order"]
    step = 0
    while run.open and run.end is None:
        assert step < 200, "the run does not end"
        if step == script["timer_after"]:
            stopped = run.give(Observation("timer")).end
            if stopped is not None:
                break
        action = run.open[order[step % len(order)] % len(run.open)]
        number = len(run.requests) - 1 if action.kind == "model" else len(run.tool_actions) + step
        scripted = turns if action.kind == "model" else outcomes
        run.finish(action, scripted[number % len(scripted)])
        step += 1
    return run


def check_history(messages: list[dict[str, Any]]) -> None:
    """Each call has exactly one result, right behind its turn and in call order; nothing else is a result."""
    place = 0
    while place < len(messages):
        wanted = [one["id"] for one in messages[place].get("calls", ())]
        results = messages[place + 1 : place + 1 + len(wanted)]
        assert messages[place]["role"] != "tool"
        assert [(message["role"], message.get("call_id")) for message in results] == [("tool", one) for one in wanted]
        assert len(set(wanted)) == len(wanted)
        place += 1 + len(wanted)


@settings(max_examples=200, deadline=None)
@given(script=scripts())
def test_state_written_and_read_after_every_step_changes_nothing(script: dict[str, Any]) -> None:
    """A run that is dumped to JSON text and loaded before each observation decides as the undisturbed one does."""
    undisturbed, interrupted = act_out(script, reload=False), act_out(script, reload=True)
    assert interrupted.decisions == undisturbed.decisions
    assert interrupted.subject.dump(interrupted.state) == undisturbed.subject.dump(undisturbed.state)


@settings(max_examples=200, deadline=None)
@given(script=scripts())
def test_state_of_any_run_keeps_the_rules(script: dict[str, Any]) -> None:
    """Whatever model, tools and engine do: the run ends, within its limits, with a valid history and no exception."""
    run = act_out(script, reload=False)
    limits = planner(**script["settings"])._settings
    assert run.end is not None
    ids = [action.id for action in run.started]
    assert len(set(ids)) == len(ids)
    check_history(run.history)
    for request in run.requests:
        check_history(request["messages"])
        assert request["messages"][-1]["role"] in {"user", "tool"}
    output, budgets = run.output, limits.budgets
    assert output["iterations"] <= limits.max_iterations
    assert output["model_calls"] == len(run.requests) <= limits.max_iterations + limits.repairs
    assert output["tool_calls"] == len(run.tool_actions)
    assert budgets.model_calls is None or output["model_calls"] <= budgets.model_calls
    assert budgets.tool_calls is None or output["tool_calls"] <= budgets.tool_calls
    assert output["stop_reason"] == run.end.stop_reason
    assert json.loads(json.dumps(output)) == output
    assert sum(name == "loop.stopped" for name, _ in run.events) == 1


@settings(max_examples=100, deadline=None)
@given(script=scripts())
def test_state_never_starts_more_than_allowed(script: dict[str, Any]) -> None:
    """At most `parallel_tools` calls run at a time, a sequential one alone, a model call alone."""
    limit = planner(**script["settings"])._settings.parallel_tools
    run = act_out(script, reload=False)
    running: dict[str, str] = {}
    for observed, decision in zip(run.observed, run.decisions, strict=True):
        running.pop(observed, None)
        running |= {action.id: action.name or "model" for action in decision.start}
        assert len(running) <= limit or "model" in running.values()
        assert len(running) == 1 or not {"model", "shell.run"} & set(running.values())
        if decision.end is not None:
            assert set(decision.cancel) == set(running)


@settings(deadline=None)
@given(script=scripts())
def test_state_is_read_without_changing_what_was_written(script: dict[str, Any]) -> None:
    """Dumping twice gives the same, and going on after a dump leaves the dumped document as it was."""
    run = Play(planner(**script["settings"]), task(output_schema=script["schema"]))
    if run.end is not None:
        return
    kept = run.subject.dump(run.state)
    text = json.dumps(kept)
    assert run.subject.dump(run.state) == kept
    restored = run.subject.load(run.task, kept)
    run.until_end(script["turns"])
    run.subject.step(restored, Observation("result", "model-1", script["turns"][0]))
    assert json.dumps(kept) == text


def test_state_of_a_running_turn_goes_on_where_it_was() -> None:
    """Restored in the middle of a turn, the planner starts nothing twice and waits for what was running."""
    run = pending(call("c0"), call("c1"), call("c2"), parallel_tools=2)
    run.finish("tool-1-1", "b")
    document = json.loads(json.dumps(run.subject.dump(run.state)))
    other = planner(parallel_tools=2)
    state = other.load(task(), document)
    assert other.step(state, Observation("result", "tool-1-1", "again")) == Decision()
    assert other.step(state, Observation("result", "tool-1-0", "a")).start == ()
    (model,) = other.step(state, Observation("result", "tool-1-2", "c")).start
    messages: Any = model.arguments["messages"]
    assert [message["text"] for message in messages[-3:]] == ["a", "b", "c"]


def test_state_has_a_version() -> None:
    """The document says in which form it is written."""
    document: Any = planner().dump(planner().begin(task()))
    assert document["version"] == 1


def test_state_of_a_newer_version_is_refused_by_name() -> None:
    """What a newer version wrote is not guessed at."""
    document: Any = play(says("Done.")).subject.dump(planner().begin(task()))
    with pytest.raises(NewerSchema, match="planner 'tools' has schema version 2"):
        planner().load(task(), {**document, "version": 2, "new": "field"})


@pytest.mark.parametrize("change", [{"version": "1"}, {"messages": None}, {"ledger": {}}, {"streak": ["x", 1, 2, 3]}])
def test_state_that_is_none_is_refused(change: dict[str, Any]) -> None:
    """A document of another form is a breach of contract, told as such."""
    document: Any = planner().dump(planner().begin(task()))
    with pytest.raises(ProtocolViolation, match="no state of planner 'tools'"):
        planner().load(task(), {**document, **change})


@pytest.mark.parametrize("document", [None, [], "state", 3, {}])
def test_state_that_is_no_document_is_refused(document: Any) -> None:
    """Neither null nor a list nor text is a state."""
    with pytest.raises(ProtocolViolation):
        planner().load(Task("x"), document)


def test_state_costs_the_same_at_every_length() -> None:
    """A step shares the messages of the history with the requests and the dump; none is written anew."""
    turns = [calls(call(f"c{index}", path=str(index))) for index in range(50)]
    run = play(*turns, says("Done."), max_iterations=60)
    first, last = run.requests[1]["messages"][2], run.requests[-1]["messages"][2]
    assert first is last
    assert run.history[2] is first


def test_state_of_a_run_beyond_a_lowered_limit_ends_at_the_next_turn() -> None:
    """Restored under a smaller `max_iterations`, a run stops where it would have asked again."""
    run = Play(planner(max_iterations=9), task())
    run.finish("model-1", calls(call("c0")))
    run.finish("tool-1-0", "a")
    run.finish("model-2", calls(call("c1")))
    lowered = planner(max_iterations=1)
    state = lowered.load(task(), run.subject.dump(run.state))
    end = lowered.step(state, Observation("result", "tool-2-0", "b")).end
    assert end is not None
    assert end.stop_reason == "budget.iterations"
