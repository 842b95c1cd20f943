"""Decisions: what a planner may decide, and that it decides the same again."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.contracts.planner import Action, End
from agentflow_kernel.errors import NewerSchema
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.planner.abilities import scenes_of, versions_of
from agentflow_specs.suites.planner.engine import Engine, open_planner, shown

if TYPE_CHECKING:
    from agentflow_kernel.contracts.planner import Planner
    from agentflow_kernel.testing import Harness

KINDS = {"call", "tool", "model", "agent", "flow", "plan", "emit", "wait", "ask"}
RUNS = 100


@requirement(
    "PLANNER-01",
    "MUST",
    reason="A run that neither ends nor waits for anything stays for ever.",
    advice="Decide on actions, a wait or an end after each observation that leaves nothing open.",
)
def test_the_scene_comes_to_its_end(planner: Planner, harness: Harness) -> None:
    """Comes to an end without an error in the scene of its harness, and starts at least one action on the way."""
    engine = Engine(planner, scenes_of(harness)).run()
    end = engine.decisions[-1].end
    assert isinstance(end, End)
    assert end.error is None
    assert engine.count > 0


@requirement(
    "PLANNER-02",
    "MUST",
    reason="The identity of an action, and with it its idempotency key, is made of its id.",
    advice="Count in the state; never use the same id twice, nor one that differs from process to process.",
)
def test_ids_are_unique_in_a_run(planner: Planner, harness: Harness) -> None:
    """Gives each action of a run an id of its own, a text that is not empty, of a kind that the engine knows."""
    engine = Engine(planner, scenes_of(harness)).run()
    actions = [action for decision in engine.decisions for action in decision.start]
    assert all(type(action.id) is str and action.id for action in actions)
    assert len({action.id for action in actions}) == len(actions)
    assert {action.kind for action in actions} <= KINDS


@requirement(
    "PLANNER-03",
    "MUST",
    reason="Decisions go into the journal and are compared on replay.",
    advice="Put only JSON into arguments, events, waits and outputs.",
)
def test_decisions_are_json(planner: Planner, harness: Harness) -> None:
    """Decides in what JSON gives back unchanged."""
    engine = Engine(planner, scenes_of(harness)).run()
    for decision in engine.decisions:
        for action in decision.start:
            document = action.to_json()
            text = json.dumps(document, allow_nan=False, ensure_ascii=False)
            assert json.dumps(json.loads(text.encode()), ensure_ascii=False) == text
            assert Action.from_json(json.loads(text)).id == action.id
        json.dumps([dict(wait) for wait in decision.waits], allow_nan=False)
        json.dumps([dict(fields) for _, fields in decision.events], allow_nan=False)
        if decision.end is not None:
            json.dumps(decision.end.output, allow_nan=False)


@requirement(
    "PLANNER-04",
    "MUST",
    reason="A resumed run steps through its observations again and must come to the same actions.",
    advice="Use no clock, no random source, no identity of objects and no order of sets.",
)
def test_the_same_observations_give_the_same_decisions(planner: Planner, harness: Harness) -> None:
    """Decides the same for the same observations, in another state, another planner object and other circumstances."""
    scene = scenes_of(harness)
    first = [shown(decision) for decision in Engine(planner, scene).run().decisions]
    assert [shown(decision) for decision in Engine(planner, scene).run().decisions] == first
    assert [shown(decision) for decision in Engine(open_planner(harness), scene).run().decisions] == first


@requirement(
    "PLANNER-05",
    "MUST",
    reason="The engine stores the state and goes on from it in another process.",
    advice="Put into dump all that later decisions depend on, and make load its exact inverse.",
)
def test_a_stored_state_goes_on_with_the_same_decisions(planner: Planner, harness: Harness) -> None:
    """Decides the same where its state is stored as JSON and loaded before each observation."""
    scene = scenes_of(harness)
    straight = [shown(decision) for decision in Engine(planner, scene).run().decisions]
    assert [shown(decision) for decision in Engine(planner, scene, reload=True).run().decisions] == straight


@requirement(
    "PLANNER-06",
    "MUST",
    reason="The engine stores the state while the run goes on, and more than once.",
    advice="Make new lists and objects in dump and in load; change nothing that was handed over.",
)
def test_storing_changes_nothing(planner: Planner, harness: Harness) -> None:
    """Stores the same document twice, which later steps do not change; loading changes neither it nor the task."""
    scene = scenes_of(harness)
    task = copy.deepcopy(scene.task)
    engine = Engine(planner, scene)
    engine.start()
    document = planner.dump(engine.state)
    kept = json.dumps(document, sort_keys=True)
    assert json.dumps(planner.dump(engine.state), sort_keys=True) == kept
    other = planner.load(scene.task, document)
    engine.run()
    assert json.dumps(document, sort_keys=True) == kept
    assert json.dumps(planner.dump(other), sort_keys=True) == kept
    assert scene.task == task


@requirement(
    "PLANNER-07",
    "MUST",
    reason="One planner object serves all runs of an agent.",
    advice="Keep nothing of a run in the planner; its state is what begin gives.",
)
def test_a_hundred_runs_in_turns_do_not_disturb_each_other(planner: Planner, harness: Harness) -> None:
    """Decides in each of 100 runs that take turns as in one that is alone."""
    scene = scenes_of(harness)
    alone = [shown(decision) for decision in Engine(planner, scene).run().decisions]
    engines = [Engine(planner, scene) for _ in range(RUNS)]
    for number, engine in enumerate(engines):
        engine.start()
        for ahead in engines[: number + 1 : 7]:
            if not ahead.ended:
                action = next(iter(ahead.open.values()))
                ahead.observe(ahead.answer(action, ahead.count))
                ahead.count += 1
    for engine in engines:
        engine.run()
        assert [shown(decision) for decision in engine.decisions] == alone


@requirement(
    "PLANNER-08",
    "MUST",
    reason="What is started after the end would run without anybody who waits for it.",
    advice="Decide on an end or on actions, never on both.",
)
def test_an_end_starts_nothing(planner: Planner, harness: Harness) -> None:
    """Starts nothing in the decision that ends, and cancels no action that it did not start."""
    engine = Engine(planner, scenes_of(harness)).run()
    started: set[str] = set()
    for decision in engine.decisions:
        assert set(decision.cancel) <= started
        started |= {action.id for action in decision.start}
    assert engine.decisions[-1].start == ()


@requirement(
    "PLANNER-10",
    "MUST",
    needs="versions",
    reason="A worker of yesterday must not go on with a state that it does not understand.",
    advice="Write a version into the document and compare it in load before anything else.",
)
def test_a_newer_state_is_refused(planner: Planner, harness: Harness) -> None:
    """Refuses to load a state of a newer version with `NewerSchema`."""
    scene, versions = scenes_of(harness), versions_of(harness)
    engine = Engine(planner, scene)
    engine.start()
    newer = versions.make_newer(planner.dump(engine.state))
    with pytest.raises(NewerSchema):
        planner.load(scene.task, newer)
