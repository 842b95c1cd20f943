"""Plans: planners whose actions are flows, agents, plans, tools, events, waits and questions, and that listen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel import Flow, Parts, Plan
from agentflow_kernel.contracts.planner import Action, Decision, End
from flows.agents import STUCK, Told, _agent, _toolset
from flows.case import Case, Send, paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.planner import Observation, Task
    from flows.case import World


class Course:
    """Follows ``stages``: the actions of one begin side by side, the next one when all of them are over.

    A stage with ``race`` is over when its first action is, and cancels the others. With ``hears`` the planner listens
    all the time, and ends at the signal ``stop``; with ``rings_s`` it has a timer. It ends with all it was told.
    """

    def read(self, document: Mapping[str, Any]) -> object:
        return document

    def begin(self, task: Task) -> dict[str, Any]:
        return {"stage": -1, "open": [], "told": [], "plan": task.plan}

    def step(self, state: dict[str, Any], observation: Observation) -> Decision:
        plan = state["plan"]
        if observation.kind == "started":
            waits = [{"type": "signal", "name": name} for name in plan.get("hears", ())]
            if "rings_s" in plan:
                waits.append({"type": "timer", "after_s": plan["rings_s"]})
            return self._next(state, waits)
        value = observation.value["code"] if observation.kind == "error" else observation.value
        state["told"].append([observation.kind, observation.action_id, value])
        if observation.kind in ("signal", "timer"):
            ends = observation.kind == "timer" or observation.action_id == "stop"
            return Decision(end=End(state["told"]) if ends else None)
        if observation.action_id in state["open"]:
            state["open"].remove(observation.action_id)
        if not state["open"]:
            stage = plan["stages"][state["stage"]]
            if not stage.get("race"):  # in the order of the stage, whichever was quicker
                order = {each["id"]: number for number, each in enumerate(stage["do"])}
                state["told"].sort(key=lambda told: order.get(told[1], -1))
            return self._next(state)
        return Decision(cancel=list(state["open"]) if plan["stages"][state["stage"]].get("race") else ())

    def _next(self, state: dict[str, Any], waits: Any = ()) -> Decision:
        plan, state["stage"] = state["plan"], state["stage"] + 1
        if state["stage"] == len(plan["stages"]):
            return Decision(waits=waits, end=None if "hears" in plan or "rings_s" in plan else End(state["told"]))
        actions = [
            Action.from_json({"name": "", "arguments": {}, **each}) for each in plan["stages"][state["stage"]]["do"]
        ]
        state["open"] = [action.id for action in actions]
        return Decision(actions, waits=waits)

    def dump(self, state: dict[str, Any]) -> Any:
        return {"stage": state["stage"], "open": list(state["open"]), "told": list(state["told"])}

    def load(self, task: Task, document: Any) -> dict[str, Any]:
        return {
            "stage": document["stage"],
            "open": list(document["open"]),
            "told": list(document["told"]),
            "plan": task.plan,
        }


def _plan(name: str, *stages: Any, parts: Parts | None = None, **document: Any) -> Plan:
    listed = [stage if isinstance(stage, dict) else {"do": stage} for stage in stages]
    return Plan(name, Course(), {"stages": listed, **document}, parts=parts)


def _flow(world: World, name: str) -> Flow:
    return Flow(name).step(world.noted(), name="work").step(world.noted(str), name="say")


def _act(id: str, kind: str, meant: str = "", **arguments: Any) -> dict[str, Any]:
    return {"id": id, "kind": kind, "name": meant, "arguments": arguments}


def plan_parts(world: World) -> Flow:
    """A flow, an agent and a plan, nested, each as an action, between plain steps."""
    inner = _plan("inner", [_act("low", "flow", "low", input=2)], parts=Parts(flows={"low": _flow(world, "low")}))
    parts = Parts(
        flows={"high": _flow(world, "high")},
        agents={"helper": _agent(world, [[("kit.read", {"what": "a"})], "done"])},
        plans={"inner": inner},
    )
    stages = [
        [_act("f", "flow", "high", input=1)],
        [_act("a", "agent", "helper", input="go")],
        [_act("p", "plan", "inner")],
    ]
    flow = Flow("plan_parts").step(world.noted(), name="before").step(_plan("plan", *stages, parts=parts), name="plan")
    return flow.step(world.noted(len), name="after")


def plan_side_by_side(world: World) -> Plan:
    """Three flows at the same time, then another."""
    parts = Parts(flows={name: _flow(world, name) for name in ("x", "y", "z")})
    first = [_act(name, "flow", name, input=name) for name in ("x", "y", "z")]
    return _plan("side", first, [_act("last", "flow", "x", input=0)], parts=parts)


def plan_race(world: World) -> Plan:
    """The first action to end cancels a wait that would never end."""
    parts = Parts(flows={"quick": _flow(world, "quick")})
    race = {"do": [_act("wait", "wait", type="signal", name="never"), _act("quick", "flow", "quick")], "race": True}
    return _plan("race", race, [_act("after", "flow", "quick")], parts=parts)


def plan_hears(world: World) -> Plan:
    """Signals while an action is open and while nothing is; one is sent twice, one before anybody listens."""
    return _plan("ears", [_act("go", "wait", type="signal", name="go")], hears=["note", "stop"])


def plan_rings(world: World) -> Plan:
    """A timer of the planner itself, with nothing else to do."""
    parts = Parts(flows={"work": _flow(world, "work")})
    return _plan("rings", [_act("work", "flow", "work")], parts=parts, rings_s=3600)


def plan_pauses(world: World) -> Plan:
    """A timer, a question and a signal as actions, each after the other."""
    ask = _act("ask", "ask", question="Go on?", choices=["yes", "no"], by=["ops"])
    wait = _act("wait", "wait", type="signal", name="go")
    return _plan("pauses", [_act("nap", "wait", type="timer", seconds=3600)], [ask], [wait])


def plan_emits(world: World) -> Plan:
    """Two events; the second one goes out with the plan's end."""
    return _plan("emits", [_act("one", "emit", "told", data=1)], [_act("two", "emit", "told", data=2)])


def plan_effect(world: World) -> Plan:
    """A tool that must not be called twice, and one that may be."""
    stages = [
        {"do": [_act("send", "tool", "kit.send", what="mail")]},
        {"do": [_act("read", "tool", "kit.read", what="a")]},
    ]
    return Plan("effect", Course(), {"stages": stages}, tools={"kit": _toolset()}, policies=[Told(world)])


def _told(world: World) -> list[Flow]:
    return [Flow("told").step(world.noted(), name="hear")]


CASES = (
    Case(
        "plan_parts", plan_parts, 1, output=3,
        effects=paths(
            "before plan/f/work plan/f/say plan/a/model-1 plan/a/tool-1-0 plan/a/model-2",
            "plan/p/low/work plan/p/low/say after",
        ),
    ),
    Case(
        "plan_side_by_side", plan_side_by_side, output=[
            ["result", "x", "x"], ["result", "y", "y"], ["result", "z", "z"], ["result", "last", "0"],
        ],
        effects=paths(
            "side/x/work side/x/say side/y/work side/y/say side/z/work side/z/say", "side/last/work side/last/say"
        ),
    ),
    Case(
        "plan_race", plan_race, output=[
            ["result", "quick", "None"], ["cancelled", "wait", None], ["result", "after", "None"],
        ],
        effects=paths("race/quick/work race/quick/say race/after/work race/after/say"),
    ),
    Case(
        "plan_hears", plan_hears, output=[
            ["signal", "note", 0], ["signal", "note", 1], ["result", "go", None],
            ["signal", "note", 2], ["signal", "stop", None],
        ],
        sends=[
            Send("", "signal", "note", 0, id="zero"),
            Send("wait.opened:go", "signal", "note", 1, id="one"),
            Send("wait.opened:go", "signal", "note", 1, id="one"),
            Send("wait.opened:go", "signal", "go", id="go"),
            Send("wait.opened:*", "signal", "note", 2, id="two"),
            Send("wait.opened:*", "signal", "stop", id="stop"),
        ],
    ),
    Case(
        "plan_rings", plan_rings, output=[["result", "work", "None"], ["timer", "", None]], timed=True,
        effects=paths("rings/work/work rings/work/say"),
    ),
    Case(
        "plan_pauses", plan_pauses, timed=True,
        output=[["result", "nap", None], ["result", "ask", "yes"], ["result", "wait", {"fast": True}]],
        sends=[
            Send("wait.opened:pauses/ask!ask", "answer", "pauses/ask!ask", "yes", by="ops"),
            Send("wait.opened:go", "signal", "go", {"fast": True}, id="go"),
        ],
    ),
    Case(
        "plan_emits", plan_emits, output=[["result", "one", None], ["result", "two", None]], others=_told,
        effects=paths("hear"), held=paths("hear"),
    ),
    Case(
        "plan_effect", plan_effect,
        output=[["result", "send", {"text": "of mail"}], ["result", "read", {"text": "of a"}]],
        effects=paths("effect/send effect/read"), otherwise=STUCK,
    ),
)  # fmt: skip
