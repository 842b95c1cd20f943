"""Planners that are faulty in one way each: variants of a sound one that counts how its tools end."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import asynccontextmanager

from faulty import mutants_in

from agentflow_kernel.contracts.planner import Action, Decision, End, Task
from agentflow_kernel.errors import NewerSchema

TURNS = 4


class Sound:
    def begin(self, task):
        return {"version": 1, "turn": 0, "open": [], "seen": []}

    def step(self, state, observation):
        if observation.kind == "started":
            return self.next(state)
        if observation.action_id not in state["open"]:
            return Decision()
        state["open"].remove(observation.action_id)
        state["seen"].append(self.see(observation))
        return Decision() if state["open"] else self.next(state)

    def see(self, observation):
        return observation.kind

    def next(self, state):
        state["turn"] += 1
        if state["turn"] > TURNS:
            return self.end(state)
        starts = [self.action(state, name) for name in "ab"]
        state["open"] = [action.id for action in starts]
        return Decision(starts)

    def action(self, state, name):
        return Action(f"{state['turn']}{name}", "tool", "files.read", {"path": name})

    def end(self, state):
        return Decision(end=End({"seen": len(state["seen"])}))

    def dump(self, state):
        return json.loads(json.dumps(state))

    def load(self, task, document):
        if document["version"] > 1:
            raise NewerSchema("The state", document["version"], 1)
        return json.loads(json.dumps(document))


class SoundHarness:
    kind = "planner"
    declared = {"versions": True}  # noqa: RUF012 -- as a harness has it
    known_deviations = {}  # noqa: RUF012 -- as a harness has it
    task = Task("count")
    input = "input"
    made_of = Sound

    @asynccontextmanager
    async def open(self):
        yield self.made_of()

    def answers(self, action, number):
        return {"number": number}

    def make_newer(self, document):
        return {**document, "version": 2}


mutant = mutants_in(globals(), SoundHarness)


@mutant("PLANNER-01")
class Waiting(Sound):
    def end(self, state):
        return Decision()


@mutant("PLANNER-02")
class SameIds(Sound):
    def action(self, state, name):
        return Action(name, "tool", "files.read")


@mutant("PLANNER-03")
class Tuples(Sound):
    def action(self, state, name):
        return Action(f"{state['turn']}{name}", "tool", "files.read", {"when": float("nan")})


@mutant("PLANNER-04")
class Counting(Sound):
    counter = itertools.count()

    def action(self, state, name):
        return Action(f"{next(self.counter)}{name}", "tool", "files.read")


@mutant("PLANNER-05")
class Forgetful(Sound):
    def dump(self, state):
        return {**super().dump(state), "seen": []}


@mutant("PLANNER-06")
class Aliasing(Sound):
    def dump(self, state):
        return state


@mutant("PLANNER-07")
class Shared(Sound):
    seen = 0

    def begin(self, task):
        self.seen = 0
        return super().begin(task)

    def see(self, observation):
        self.seen += 1
        return observation.kind

    def end(self, state):
        return Decision(end=End({"seen": self.seen}))


@mutant("PLANNER-08")
class StartingAtTheEnd(Sound):
    def end(self, state):
        return Decision([self.action(state, "a")], end=End(None))


@mutant("PLANNER-10")
class Trusting(Sound):
    def load(self, task, document):
        return json.loads(json.dumps(document))


@mutant("PLANNER-20")
class Raising(Sound):
    def see(self, observation):
        if observation.kind == "error":
            raise RuntimeError(observation.value)
        return observation.kind


@mutant("PLANNER-21")
class WaitingForCancelled(Sound):
    def step(self, state, observation):
        return Decision() if observation.kind == "cancelled" else super().step(state, observation)


@mutant("PLANNER-22")
class Believing(Sound):
    def step(self, state, observation):
        if observation.kind != "started" and observation.action_id not in state["open"]:
            state["seen"].append("stranger")
        return super().step(state, observation)


@mutant("PLANNER-23")
class Credulous(Sound):
    def see(self, observation):
        return observation.kind if observation.kind != "result" else observation.value.get("number")


@mutant("PLANNER-24")
class TextsOnly(Sound):
    def step(self, state, observation):
        if observation.kind == "started":
            observation.value.strip()
        return super().step(state, observation)


@mutant("PLANNER-25")
class Clocked(Sound):
    def see(self, observation):
        return time.time() and observation.kind


@mutant("PLANNER-26")
class Hoarding(Sound):
    def see(self, observation):
        return "x" * 10_000
