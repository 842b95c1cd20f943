"""What belongs to a loop also because of the state, and what nested choices may cost at worst."""

from __future__ import annotations

from typing import Any

import pytest
from dag_driver import play
from plans import plan, ref, scope, step

from agentflow_planner_llm.plan import check_plan
from agentflow_planner_llm.plan.bounds import estimate_plan


def counted(document: Any, *, last: bool) -> Any:
    """A run in which `W` counts its calls and all else gives on what it gets; the last open action ends first."""
    count = iter(range(1, 99))
    run = play(document)
    return run.until_end(
        lambda action: next(count) if action.id.startswith("W") else action.arguments.get("v"),
        lambda size: size - 1 if last else 0,
    )


@pytest.mark.parametrize("last", [False, True])
def test_reader_inside_a_loop_is_done_again(last: bool) -> None:
    """A step that the loop reaches by the state alone is part of it."""
    document = plan(
        step("W", "send", writes=["k"]),
        step("R", args={"v": ref("state.k")}),
        step("S", args={"v": ref("R.result")}, needs=["W"], routes=[{"to": "W", "when": "result < 3", "max": 5}]),
        state={"k": {"initial": 0}}, output=ref("R.result"),
    )  # fmt: skip
    run = counted(document, last=last)
    assert run.ids == ["W", "R", "S", "W#2", "R#2", "S#2", "W#3", "R#3", "S#3"]
    assert run.output == 3


@pytest.mark.parametrize("last", [False, True])
def test_reader_after_a_loop_waits_for_its_last_turn(last: bool) -> None:
    """What reads a key after the loop that writes it sees what the last turn wrote."""
    document = plan(
        step("W", "send", writes=["k"]),
        step("S", args={"v": ref("W.result")}, routes=[{"to": "W", "when": "result < 3", "max": 5}]),
        step("R", args={"v": ref("state.k")}),
        state={"k": {"initial": 0}}, output={"seen": ref("R.result"), "k": ref("state.k")},
    )  # fmt: skip
    run = counted(document, last=last)
    assert run.output == {"seen": 3, "k": 3}
    assert run.ids == ["W", "S", "W#2", "S#2", "W#3", "S#3", "R"]


def test_choices_in_choices_are_added_up() -> None:
    """Of two ways the dearer one counts, with the dearer way inside it."""

    def way(name: str, usd: float, *targets: str) -> dict[str, Any]:
        routes = [{"to": to, "when": "result"} for to in targets]
        return step(name, cost_estimate={"usd": usd}, **({"routes": routes} if routes else {}))

    steps = [way("a", 1, "b", "c"), way("b", 2, "d", "e"), way("c", 10), way("d", 4), way("e", 7, "f"), way("f", 5)]
    graph, found = check_plan(plan(*steps), scope())
    assert found == []
    assert estimate_plan(graph).usd == 1 + max(2 + max(4, 7 + 5), 10)
    assert estimate_plan(graph).steps == 4


def test_thousands_of_choices_in_each_other_are_checked() -> None:
    """The depth of choices is bounded by no stack, and takes no cubic time."""

    def chain(size: int) -> dict[str, Any]:
        ways = [step(f"s{n}", routes=[{"to": f"s{n + 1}", "when": "result"}, {"to": "end"}]) for n in range(size)]
        return plan(*ways, step(f"s{size}"))

    graph, found = check_plan(chain(1_500), scope())
    assert found == []
    assert estimate_plan(graph).steps == 1_501
