"""What a loop undoes before it comes round: facts that hold the first time only, and such that hold each time."""

from __future__ import annotations

import random
from typing import Any

import pytest
from dag_driver import dag, play
from plans import TOOLS, findings, plan, step

from agentflow_kernel.contracts.planner import PlanScope


def loop(*bodies: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Steps `a`, `b`, `c`, `d` one after the other with these facts; from the last back to the first."""
    steps = [
        step(name, args={"n": name}, **({"needs": [before]} if before else {}), **facts)
        for name, before, facts in zip("abcd", ("", "a", "b", "c"), bodies, strict=False)
    ]
    steps[-1]["routes"] = [{"to": "a", "when": "result > 1", "max": 2}]
    return plan(*steps, **fields)


BAD = {
    "undone after it": (loop({"pre": ["open"]}, {"post": ["!open"]}, facts=["open"]), "/steps/0/pre/0"),
    "undone by itself": (loop({"pre": ["open"], "post": ["!open"]}, {}, facts=["open"]), "/steps/0/pre/0"),
    "a fact that must not hold": (loop({"pre": ["!sent"]}, {"post": ["sent"]}), "/steps/0/pre/0"),
    "made again too early": (
        loop({"post": ["open"]}, {"pre": ["open"]}, {"post": ["!open"], "pre": ["!sent"]}, facts=["sent"]),
        "/steps/2/pre/0",
    ),
    "made again at times": (
        loop({"pre": ["open"]}, {"post": ["!open"]}, {"post": ["open"], "on_error": "continue"}, {}, facts=["open"]),
        "/steps/0/pre/0",
    ),
    "made before the loop only": (
        plan(
            step("o", post=["open"]),
            step("a", pre=["open"], needs=["o"]),
            step("b", post=["!open"], needs=["a"], routes=[{"to": "a", "when": "result", "max": 1}]),
        ),
        "/steps/1/pre/0",
    ),
}
GOOD = {
    "made again before it": loop({"post": ["open"]}, {"pre": ["open"]}, {"post": ["!open"]}),
    "made again after it": loop({"pre": ["open"]}, {"post": ["!open"]}, {"post": ["open"]}, facts=["open"]),
    "made again by the last step": loop({"pre": ["open"], "post": ["!open"]}, {"post": ["open"]}, facts=["open"]),
    "undone after the loop": plan(
        *loop({"pre": ["open"]}, {})["steps"], step("z", needs=["b"], post=["!open"]), facts=["open"]
    ),
    "undone in another loop": plan(
        *loop({"pre": ["open"]}, {})["steps"],
        step("y", needs=["b"]),
        step("z", needs=["y"], post=["!open"], routes=[{"to": "y", "when": "result", "max": 1}]),
        facts=["open"],
    ),
}


@pytest.mark.parametrize(("document", "pointer"), BAD.values(), ids=BAD)
def test_fact_that_a_loop_undoes_is_found(document: Any, pointer: str) -> None:
    assert [(each.code, each.pointer) for each in findings(document)] == [("P013", pointer)]


@pytest.mark.parametrize("document", GOOD.values(), ids=GOOD)
def test_fact_that_holds_in_each_round_is_not_found(document: Any) -> None:
    assert findings(document) == []


def random_facts(chance: random.Random) -> dict[str, Any]:
    steps = []
    for number in range(chance.randint(2, 6)):
        fields: dict[str, Any] = {"needs": chance.sample([f"s{n}" for n in range(number)], min(number, 1))}
        for field, most in (("pre", 1), ("post", 2)):
            said = chance.sample("fgh", chance.randint(0, most))
            fields[field] = [chance.choice(["", "!"]) + fact for fact in said]
        steps.append(step(f"s{number}", args={"n": number}, **fields))
    last = len(steps) - 1
    if last and chance.random() < 0.8:
        steps[last]["routes"] = [{"to": f"s{chance.randrange(last)}", "when": "result > 0", "max": 2}]
    return plan(*steps, facts=chance.sample("fgh", 2), goals=chance.sample("fgh", chance.randint(0, 1)))


def test_what_is_presupposed_holds_whatever_the_order() -> None:
    """In plans without findings, each time a step begins and at the end, with every round of the loops."""
    chance, sound, rounds = random.Random(5), 0, 0
    scope = PlanScope(tools=TOOLS)
    for _ in range(500):
        document = random_facts(chance)
        if dag().check(document, scope):
            continue
        sound += 1
        facts, seen = set(document["facts"]), 0
        run = play(document, parallel=3)

        def holds(said: list[str], facts: set[str] = facts) -> bool:
            return all((fact in facts) if fact[0] != "!" else (fact[1:] not in facts) for fact in said)

        while run.end is None:
            for action in run.started[seen:]:
                assert holds(document["steps"][action.arguments["n"]]["pre"]), (document, action.id)
            seen = len(run.started)
            action = run.open[chance.choice(list(run.open))]
            for fact in document["steps"][action.arguments["n"]]["post"]:
                (facts.discard if fact[0] == "!" else facts.add)(fact.strip("!"))
            run.finish(action.id, chance.randint(0, 1))
            rounds += "#" in action.id
        assert run.end.error is None or "AF-PLAN-LOOP" in run.end.code
        assert run.end.error is not None or holds(document["goals"])
    assert sound > 50
    assert rounds > 20
