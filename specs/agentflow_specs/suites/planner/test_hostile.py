"""Hostile observations: errors, cancellations, answers of models that fit nothing, and what a step may not touch."""

from __future__ import annotations

import builtins
import json
import os
import random
import socket
import time
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentflow_kernel.contracts.planner import Action, Observation
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.planner.abilities import scenes_of
from agentflow_specs.suites.planner.engine import Engine

if TYPE_CHECKING:
    import pytest

    from agentflow_kernel.contracts.planner import Planner
    from agentflow_kernel.testing import Harness

FAILURE = {"code": "AF-PEER-UNAVAILABLE", "message": "é 🐎", "executed": "no"}
LIMITS = settings(
    max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@requirement(
    "PLANNER-20",
    "MUST",
    reason="Peers fail; what that means for the plan is the planner's decision, not a crash of the run.",
    advice="Take an error as one more observation: try another way, or end with an error.",
)
def test_errors_are_observations(planner: Planner, harness: Harness) -> None:
    """Goes on or ends where each of its actions ends with an error, or the first of them; it raises nothing."""
    scene = scenes_of(harness)
    engine = Engine(planner, scene)

    def fail_once(action: Action, number: int) -> Observation:
        return Observation("error", action.id, dict(FAILURE)) if number == 0 else engine.answer(action, number)

    engine.run(fail_once)
    Engine(planner, scene).run(lambda action, number: Observation("error", action.id, dict(FAILURE)))


@requirement(
    "PLANNER-21",
    "MUST",
    reason="Actions are cancelled by people and limits, not only by the planner.",
    advice="Take a cancelled action as one that gave nothing.",
)
def test_cancelled_actions_are_observations(planner: Planner, harness: Harness) -> None:
    """Goes on or ends where its actions are cancelled; it raises nothing."""
    Engine(planner, scenes_of(harness)).run(lambda action, number: Observation("cancelled", action.id))


@requirement(
    "PLANNER-22",
    "MUST",
    reason="An answer may come twice, or after it was given up: the run must not lose its plan by that.",
    advice="Look the action up; what is not open is left aside.",
)
def test_observations_of_unknown_actions_are_left_aside(planner: Planner, harness: Harness) -> None:
    """Leaves aside what it is told of actions that it did not start, and comes to the same end."""
    scene = scenes_of(harness)
    straight = Engine(planner, scene).run().decisions[-1].end
    engine = Engine(planner, scene)
    engine.start()
    for kind in ("result", "error", "cancelled"):
        engine.observe(Observation(kind, "no such action", dict(FAILURE) if kind == "error" else None))
    engine.run()
    end = engine.decisions[-1].end
    assert end is not None
    assert straight is not None
    assert (end.output, end.error) == (straight.output, straight.error)


@requirement(
    "PLANNER-23",
    "MUST",
    reason="Models answer anything; an exception ends the run where a decision could have mended it.",
    advice="Check the shape of each value before it is used; ask again, or end with an error.",
)
def test_hostile_answers_raise_nothing(planner: Planner, harness: Harness) -> None:
    """Raises nothing whatever JSON its actions give, at whatever moment, and ends within its limits."""
    scene = scenes_of(harness)

    @LIMITS
    @given(values=st.lists(JSONS, min_size=1, max_size=4), after=st.integers(0, 2))
    def try_them(values: list[Any], after: int) -> None:
        engine = Engine(planner, scene)

        def answer(action: Action, number: int) -> Observation:
            if number < after or number >= after + len(values):
                return engine.answer(action, number)
            return Observation("result", action.id, values[number - after])

        engine.run(answer)

    try_them()


@requirement(
    "PLANNER-24",
    "MUST",
    reason="Tasks come from people, events and other agents.",
    advice="Take any JSON as the input: show it to the model as text, or end with an error.",
)
def test_any_input_is_taken(planner: Planner, harness: Harness) -> None:
    """Takes any JSON as the input of its task: empty, huge, deep and Unicode; it comes to an end."""
    values: list[Any] = ["", [], {}, 0, False, "é\x00🐎\u202e" * 1_000, "x" * 1_000_000, {"a": [{"b": None}] * 1_000}]
    for value in values:
        engine = Engine(planner, scenes_of(harness))
        engine.start(value)
        engine.run()


@requirement(
    "PLANNER-25",
    "MUST",
    reason="A step is made again on replay, and between two steps of others: it must be fast and touch nothing.",
    advice="Take time and chance from observations and the seed of the task; let actions touch the world.",
)
def test_a_step_touches_nothing_outside(planner: Planner, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opens no file and no socket, reads no clock and no random source of its own in begin, step, dump and load."""
    scene = scenes_of(harness)
    Engine(planner, scene, reload=True).run()  # what is imported at first use is read from files
    touched: list[str] = []

    def note(name: str) -> Any:
        def noted(*arguments: Any, **options: Any) -> Any:
            touched.append(name)
            return 0.5

        return noted

    with monkeypatch.context() as patched:
        for place, name in (
            (time, "time"), (time, "monotonic"), (time, "time_ns"), (random, "random"), (random, "randint"),
            (random, "choice"), (os, "urandom"), (os, "getpid"), (socket, "socket"), (builtins, "open"),
        ):  # fmt: skip
            patched.setattr(place, name, note(name))
        Engine(planner, scene, reload=True).run()
    assert touched == []


@requirement(
    "PLANNER-26",
    "MUST",
    reason="The kernel resumes runs from their stored states; one that outgrows its history fills the disk.",
    advice="Keep what later decisions need, not all that was seen.",
)
def test_a_state_is_no_larger_than_its_history(planner: Planner, harness: Harness) -> None:
    """Keeps a state that is not larger than four times what it was told and has decided, plus 16 KiB."""
    scene = scenes_of(harness)
    engine = Engine(planner, scene).run()
    told = sum(len(json.dumps(action.to_json())) for decision in engine.decisions for action in decision.start)
    assert len(json.dumps(planner.dump(engine.state))) <= 4 * told + 16_384
