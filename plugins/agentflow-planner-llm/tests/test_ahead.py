"""Calls of a plan that begin while the model still writes it: which may, and what becomes of them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from dag_driver import Failure, Play
from strategy_driver import says, strategy_task, told

from agentflow_kernel.contracts.planner import Observation
from agentflow_planner_llm.strategies.compiler import Compiler
from agentflow_planner_llm.strategy_settings import PlannedSettings

READ_A, READ_B = '1. files.read({"path": "a"})\n', '2. files.read({"path": "b"})\n'
COUNT = '3. count({"of": $1})\n'
SEND = '4. send({"n": $3})\n'
FINISH = {"decision": "finish", "answer": "done"}


def begun(*, reload: bool = False, **settings: Any) -> Play:
    return Play(
        Compiler(PlannedSettings.model_validate(settings)), strategy_task(), "the task", reload=reload, traced=True
    )


def hear(played: Play, text: str, offset: int = 0, question: str = "plan.1") -> list[str]:
    """The model has written so much more; the ids of what begins with it."""
    decision = played.give(Observation("piece", question, {"text": text, "offset": offset}))
    return [action.id for action in decision.start]


def dropped(played: Play) -> list[str]:
    return [fields["id"] for name, fields in played.events if name == "step.dropped"]


@pytest.mark.parametrize("reload", [False, True])
def test_a_call_begins_with_the_end_of_its_line(reload: bool) -> None:
    """What needs it follows as soon as it is done; the whole plan finds all of that and makes no call again."""
    played = begun(reload=reload)
    assert played.started[0].arguments["stream"] is True
    assert hear(played, READ_A[:9]) == []
    assert hear(played, READ_A[9:] + READ_B[:5], 9) == ["s1"]
    assert hear(played, READ_B[5:] + COUNT, len(READ_A) + 5) == ["s2"]
    assert [action.id for action in played.finish("s1", {"text": "A"}).start] == ["s3"]
    assert played.started[-1].arguments == {"of": {"text": "A"}}
    assert played.finish("plan.1", says(READ_A + READ_B + COUNT + "5. join()")).start == ()
    played.finish("s3", 3)
    played.finish("s2", {"text": "B"})
    assert [part in told(played) for part in ('s1: {"text":"A"}', 's2: {"text":"B"}', "s3: 3")] == [True] * 3
    played.finish("join.2", says(FINISH))
    assert (played.output["text"], played.output["tool_calls"], played.output["model_calls"]) == ("done", 3, 2)
    assert dropped(played) == []


def test_all_calls_may_have_ended_before_the_plan_is_whole() -> None:
    played = begun()
    hear(played, READ_A)
    played.finish("s1", {"text": "A"})
    assert [action.id for action in played.finish("plan.1", says(READ_A)).start] == ["join.2"]


def test_what_has_effects_waits_for_the_whole_plan() -> None:
    """So does all that needs it: a plan that turns out bad has changed nothing."""
    played = begun()
    text = '1. send({"n": 1})\n2. count({"of": $1})\n3. files.touch({})\n4. count({})\n'
    assert hear(played, text) == ["s4"]
    played.finish("s4", 1)
    assert [action.id for action in played.finish("plan.1", says(text)).start] == ["s1", "s3"]


@pytest.mark.parametrize("settings", [{"approval": True}, {"permissions": {"approved": ["send"]}}])
def test_nothing_begins_before_a_person_has_agreed(settings: dict[str, Any]) -> None:
    """The plan may come to need it with its last line, so its text is not listened to at all."""
    played = begun(**settings)
    assert "stream" not in played.started[0].arguments
    played.finish("plan.1", says(READ_A + SEND.replace("$3", "1")))
    assert list(played.open) == ["approve.1"]


@pytest.mark.parametrize(
    "line",
    [
        "2. count(\n",
        "2. join()\n",
        "2. unknown({})\n",
        '2. files.read({"path": 1})\n',
        '2. count({"of": $2})\n',
        READ_A,
    ],
)
def test_nothing_begins_after_a_line_that_is_bad_or_the_last(line: str) -> None:
    """The whole plan is going to be refused, or has ended; what has begun before goes on."""
    played = begun()
    assert hear(played, READ_A) == ["s1"]
    assert hear(played, line, len(READ_A)) == []
    assert hear(played, COUNT, len(READ_A + line)) == []
    assert "s1" in played.open


@pytest.mark.parametrize("reload", [False, True])
@pytest.mark.parametrize("again", [READ_A + READ_B + COUNT, READ_B.replace("2", "7") + READ_A.replace("1", "8")])
def test_a_refused_plan_leaves_its_calls_to_the_next_one(again: str, reload: bool) -> None:
    """They are counted once and not made again, also where the next plan gives them other numbers."""
    played = begun(reload=reload)
    assert hear(played, READ_A + READ_B) == ["s1", "s2"]
    played.finish("s1", {"text": "A"})
    played.finish("plan.1", says(READ_A + READ_B + "3. unknown({})"))
    assert set(played.open) == {"s2", "plan.2"}
    hear(played, again[:4], 0, "plan.2")
    hear(played, again[4:], 4, "plan.2")
    played.finish("plan.2", says(again))
    reads = [action.arguments for action in played.started if action.name == "files.read"]
    assert reads == [{"path": "a"}, {"path": "b"}]
    played.until_end(lambda action: says(FINISH) if action.kind == "model" else {"text": "B"})
    assert played.output["tool_calls"] == 2 + ("count" in again)
    assert dropped(played) == []


@pytest.mark.parametrize("reload", [False, True])
def test_what_the_plan_does_not_have_is_given_up(reload: bool) -> None:
    """It is cancelled where it runs, and its result is not shown; its call stays counted."""
    played = begun(reload=reload)
    hear(played, READ_A + READ_B)
    played.finish("s1", {"text": "A"})
    played.finish("plan.1", says(READ_A + READ_B + "3. unknown({})"))
    other = '1. files.read({"path": "c"})'
    assert hear(played, other + "\n", 0, "plan.2") == [], "its id is that of another call that has begun"
    decision = played.finish("plan.2", says(other))
    assert decision.cancel == ("s2",)
    assert [(action.id, action.arguments) for action in decision.start] == [("s1#2", {"path": "c"})]
    assert dropped(played) == ["s1", "s2"]
    played.finish("s1#2", {"text": "C"})
    assert '"A"' not in told(played)
    played.finish("join.3", says(FINISH))
    assert played.output["tool_calls"] == 3


def test_another_attempt_at_the_answer_goes_on_with_what_has_begun() -> None:
    """The stream broke off and begins anew: the same lines are the same calls."""
    played = begun()
    assert hear(played, READ_A + READ_B[:9]) == ["s1"]
    assert hear(played, READ_A + READ_B) == ["s2"]
    played.finish("plan.1", says(READ_A + READ_B))
    assert list(played.open) == ["s1", "s2"]


def test_a_call_that_failed_is_not_made_again() -> None:
    """The plan shows its failure to the model, as it would have."""
    played = begun()
    hear(played, READ_A)
    played.finish("s1", Failure("no such file"))
    played.finish("plan.1", says(READ_A))
    assert "no such file" in told(played)
    assert played.ids == ["plan.1", "s1", "join.2"]


def test_the_budget_bears_what_begins_early() -> None:
    """One call may be made: it is, and the plan that wants another one ends with the budget."""
    played = begun(budgets={"tool_calls": 1})
    assert hear(played, READ_A + READ_B) == ["s1"]
    played.finish("plan.1", says(READ_A + READ_B))
    assert played.end is not None
    assert played.end.stop_reason == "budget.tool_calls"
    assert played.end.output["tool_calls"] == 1


def test_the_same_call_is_begun_once() -> None:
    """The whole plan decides whether it may be made once for both."""
    played = begun()
    twice = READ_A + READ_A.replace("1", "2")
    assert hear(played, twice) == ["s1"]
    played.finish("s1", {"text": "A"})
    played.finish("plan.1", says(twice))
    assert played.ids == ["plan.1", "s1", "join.2"]
    assert told(played).count('{"text":"A"}') == 2


@pytest.mark.parametrize("reload", [False, True])
def test_a_later_plan_begins_early_too_and_knows_what_is_done(reload: bool) -> None:
    """Steps of the plan before are facts for it, also in the lines that begin early."""
    played = begun(reload=reload)
    played.finish("plan.1", says(READ_A))
    played.finish("s1", {"text": "A"})
    played.finish("join.2", says({"decision": "replan", "feedback": "more"}))
    assert hear(played, READ_A, 0, "plan.3") == []
    assert hear(played, COUNT, len(READ_A), "plan.3") == ["s3"]
    assert played.started[-1].arguments == {"of": {"text": "A"}}
    played.finish("plan.3", says(READ_A + COUNT))
    played.finish("s3", 3)
    assert 's1: {"text":"A"}' in told(played)
    played.finish("join.4", says(FINISH))
    assert (played.output["tool_calls"], len(played.output["plans"])) == (2, 2)


def test_nothing_begins_early_while_an_older_plan_is_at_work() -> None:
    """What of it goes on is known only when the new plan is whole."""
    played = begun(listen=True)
    played.finish("plan.1", says(READ_A))
    played.give(Observation("signal", "input", "more"))
    assert hear(played, READ_B, 0, "plan.2") == []
    decision = played.finish("plan.2", says(READ_A + READ_B))
    assert (decision.cancel, [action.id for action in decision.start]) == ((), ["s2"])


def test_the_end_of_the_run_stops_what_began_early() -> None:
    played = begun()
    hear(played, READ_A)
    decision = played.finish("plan.1", Failure("down", "AF-PEER-UNAVAILABLE", "no"))
    assert decision.end is not None
    assert decision.cancel == ("s1",)


@pytest.mark.parametrize("seed", range(30))
def test_a_plan_that_is_heard_gives_what_a_plan_that_comes_whole_gives(seed: int) -> None:
    """Random plans, pieces and orders of ends: the same calls and the same results."""
    dice = random.Random(seed)
    lines = []
    for number in range(1, dice.randint(2, 8)):
        tool = dice.choice(["count", "count", "send", "files.touch"])
        of = [f"${dice.randint(1, number - 1)}" for _ in range(dice.randint(0, 2)) if number > 1]
        lines.append(f'{number}. {tool}({{"n": {dice.randint(0, 1)}, "of": [{", ".join(of)}]}})\n')
    text = "".join(lines)

    def result(action: Any) -> Any:
        return says(FINISH) if action.kind == "model" else f"{action.name} {sorted(map(str, action.arguments.items()))}"

    whole = begun()
    whole.finish("plan.1", says(text)).start  # noqa: B018
    whole.until_end(result)
    played = begun(reload=seed % 2 == 0)
    offset = 0
    while offset < len(text):
        size = dice.randint(1, 40)
        hear(played, text[offset : offset + size], offset)
        offset += size
        tools = [action for action in played.open.values() if action.kind == "tool"]
        if tools and dice.random() < 0.5:
            action = dice.choice(tools)
            played.finish(action.id, result(action))
    played.finish("plan.1", says(text))
    played.until_end(result, choose=dice.randrange)

    def made(run: Play) -> list[str]:
        return sorted(f"{action.name} {action.arguments}" for action in run.started if action.kind == "tool")

    assert made(played) == made(whole)

    def joined(run: Play) -> list[str]:
        asked: Any = next(action for action in run.started if action.id == "join.2").arguments["messages"]
        return sorted(asked[-1]["text"].split("\n\n"))

    assert joined(played) == joined(whole)
