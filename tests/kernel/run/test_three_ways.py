"""A flow built fluently, by decorators and from YAML is the same graph, in every option that there is."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import ways
from ways import Add, Keep, Plain, both, half, marked, pick, same, spread, undo

from agentflow_kernel import END, Branch, Flow, Kernel, Parallel, StateKey
from agentflow_kernel.errors import UsageError
from agentflow_kernel.flow import Compensation, Graph, Step
from agentflow_kernel.flow import marking as marks
from agentflow_kernel.flow.asking import Approval, Ask, Wait
from agentflow_kernel.flow.condition import Case, Condition
from agentflow_kernel.flow.reference import Template

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {{name: {name}}}\nspec:\n"
POLICY = 'apiVersion: agentflow.dev/v1\nkind: Policy\nmetadata: {name: plain}\nspec: {uses: "./ways.py:plain"}\n---\n'
ONLY_SHAPE = (Graph, Step, Parallel, Template, Condition, Case, Ask, Wait, Approval, StateKey)
"""What a graph is made of; all else is code, or a value."""
UNUSED: dict[type, set[str]] = {StateKey: {"type"}}
"""``type`` is Python's form of what is ``schema`` in YAML."""


def sequence_fluent() -> Flow:
    """One after another, with what stands at the function."""
    flow = Flow("sequence", policies=[Plain()], start="one").step(same, name="one", policies=[Plain()])
    return flow.step(marked).step(marked, name="plainer", blocking="thread", effect="effect", on_unknown="retry")


def sequence_decorated() -> Flow:
    """The same."""
    flow = Flow("sequence", policies=[Plain()], start="one")

    @flow.node(name="one", policies=[Plain()])
    def same(value: int) -> int:
        return value

    flow.node(marked)
    flow.node(name="plainer", blocking="thread", effect="effect", on_unknown="retry")(marked)
    return flow


SEQUENCE = """
  start: one
  policies: [plain]
  nodes:
    one: {uses: "./ways.py:same", policies: [plain], next: marked_name}
    marked_name: {uses: "./ways.py:marked", next: plainer}
    plainer: {uses: "./ways.py:marked", blocking: thread, effect: effect, on_unknown: retry}
"""


def routes_fluent() -> Flow:
    """Actions, one of them to the end, and an unknown one that ends."""
    flow = Flow("routes").step(pick, routes={"big": "half", "small": END}).limited(on_unknown_action="end")
    return flow.aside(half)


def routes_decorated() -> Flow:
    """The same."""
    flow = Flow("routes").limited(on_unknown_action="end")
    flow.node(routes={"big": "half", "small": END})(pick)
    flow.node(aside=True)(half)
    return flow


ROUTES = """
  on_unknown_action: end
  nodes:
    pick: {uses: "./ways.py:pick", routes: {big: half, small: null}}
    half: {uses: "./ways.py:half"}
"""
WHEN: list[dict[str, str | None]] = [{"if": "result > 5", "next": "half"}, {"next": None}]


def when_fluent() -> Flow:
    """A condition, and what is shown and given back."""
    flow = Flow("when").step(same, when=WHEN).aside(half, input={"$ref": "same.result"})
    return flow.takes({"type": "integer"}).returns({"it": {"$ref": "same.result"}}).shows({"$ref": "same.result"})


def when_decorated() -> Flow:
    """The same."""
    flow = Flow("when").takes({"type": "integer"})
    flow.node(when=WHEN)(same)
    flow.node(aside=True, input={"$ref": "same.result"})(half)
    return flow.returns({"it": {"$ref": "same.result"}}).shows({"$ref": "same.result"})


CHOICE = """
  input_schema: {type: integer}
  output: {it: {$ref: same.result}}
  display: {$ref: same.result}
  nodes:
    same: {uses: "./ways.py:same", when: [{if: "result > 5", next: half}, {next: null}]}
    half: {uses: "./ways.py:half", input: {$ref: same.result}}
"""
DOWN: list[dict[str, str | None]] = [{"if": "result > 1", "next": "half"}, {"next": None}]


def loop_fluent() -> Flow:
    """Bounded in three ways."""
    flow = Flow("loop", max_steps=90).step(half, max_visits=7, when=DOWN)
    return flow.limited(timeout_s=30.0, compensation_s=5.0)


def loop_decorated() -> Flow:
    """The same."""
    flow = Flow("loop", max_steps=90).limited(timeout_s=30.0, compensation_s=5.0)
    flow.node(max_visits=7, when=DOWN)(half)
    return flow


LOOP = """
  max_steps: 90
  timeout_s: 30.0
  compensation_s: 5.0
  nodes: {half: {uses: "./ways.py:half", max_visits: 7, when: [{if: "result > 1", next: half}, {next: null}]}}
"""


def forks() -> dict[str, Parallel]:
    """Every join."""
    two = {"a": same, "b": Branch(marked, input={"$ref": "input"}, policies=[Plain()])}
    return {
        "all": Parallel(two),
        "any": Parallel(two, join="any", rest="wait"),
        "some": Parallel(two, join={"n_of_m": 1}, concurrency=2),
        "or": Parallel({"a": same, "b": Branch(same, only_if="value > 1"), "c": Branch(None, emits="t")}, join="or"),
    }


def forks_fluent() -> Flow:
    """One after another."""
    flow = Flow("forks")
    two: dict[str, Any] = {"a": same, "b": Branch(marked, input={"$ref": "input"}, policies=[Plain()])}
    flow.parallel(two, name="all").parallel(two, name="any", join="any", rest="wait")
    flow.parallel(two, name="some", join=1, concurrency=2)
    return flow.parallel(
        {"a": same, "b": Branch(same, only_if="value > 1"), "c": Branch(None, emits="t")}, name="or", join="or"
    )


def forks_decorated() -> Flow:
    """The same."""
    flow = Flow("forks")
    for name, fork in forks().items():
        flow.node(name=name)(fork)
    return flow


TWO = '{a: {uses: "./ways.py:same"}, b: {uses: "./ways.py:marked", input: {$ref: input}, policies: [plain]}}'
FORKS = f"""
  nodes:
    all: {{parallel: {{branches: {TWO}}}, next: any}}
    any: {{parallel: {{branches: {TWO}, join: any, rest: wait}}, next: some}}
    some: {{parallel: {{branches: {TWO}, join: {{n_of_m: 1}}, concurrency: 2}}, next: or}}
    or:
      parallel:
        join: or
        branches: {{a: {{uses: "./ways.py:same"}}, b: {{uses: "./ways.py:same", if: "value > 1"}}, c: {{emit: t}}}}
"""


def goto_fluent() -> Flow:
    """As many branches as it likes."""
    flow = Flow("goto").step(spread, fan_out=["work"], concurrency=2, on_item_error="collect", batch_mode="waves")
    return flow.aside(half, name="work").step(sum_of, name="sum")


def goto_decorated() -> Flow:
    """The same."""
    flow = Flow("goto")
    flow.node(fan_out=["work"], concurrency=2, on_item_error="collect", batch_mode="waves")(spread)
    flow.node(aside=True, name="work")(half)
    flow.node(name="sum")(sum_of)
    return flow


sum_of = same
GOTO = """
  nodes:
    spread:
      uses: ./ways.py:spread
      fan_out: [work]
      concurrency: 2
      on_item_error: collect
      batch_mode: waves
      next: sum
    work: {uses: "./ways.py:half"}
    sum: {uses: "./ways.py:same"}
"""
BATCH: dict[str, Any] = {
    "each": {"$ref": "input"}, "input": {"$ref": "item"}, "batch_size": 3, "concurrency": 2, "on_item_error": "skip",
    "batch_mode": "waves", "timeout_s": 3.0,
}  # fmt: skip


def batch_fluent() -> Flow:
    """Chunks, in waves."""
    return Flow("batch").step(half, **BATCH)


def batch_decorated() -> Flow:
    """The same."""
    flow = Flow("batch")
    flow.node(**BATCH)(half)
    return flow


EACH = """
  nodes:
    half:
      uses: ./ways.py:half
      each: {$ref: input}
      input: {$ref: item}
      batch_size: 3
      concurrency: 2
      on_item_error: skip
      batch_mode: waves
      timeout_s: 3.0
"""


def nested_fluent() -> Flow:
    """One flow twice."""
    inner = Flow("inner").step(half).step(Add, name="add").keeps(scope="shared").takes({"type": "integer"})
    flow = Flow("nested").step(Keep, name="keep").step(inner, name="first").step(inner, name="second")
    return flow.returns({"n": {"$ref": "state.n"}, "it": {"$ref": "second.result"}})


def nested_decorated() -> Flow:
    """The same."""
    inner = Flow("inner").keeps(scope="shared").takes({"type": "integer"})
    inner.node(half)
    inner.node(name="add")(Add)
    flow = Flow("nested")
    flow.node(name="keep")(Keep)
    flow.node(name="first")(inner)
    flow.node(name="second")(inner)
    return flow.returns({"n": {"$ref": "state.n"}, "it": {"$ref": "second.result"}})


NESTED = (
    """
  output: {n: {$ref: state.n}, it: {$ref: second.result}}
  nodes:
    keep: {uses: "./ways.py:Keep", next: first}
    first: {flow: inner, next: second}
    second: {flow: inner}
---
"""
    + HEAD.format(name="inner")
    + """
  scope: shared
  input_schema: {type: integer}
  nodes: {half: {uses: "./ways.py:half", next: add}, add: {uses: "./ways.py:Add"}}
"""
)


def people_fluent() -> Flow:
    """Asks, waits and approvals."""
    flow = Flow("people").ask(
        "Go on?", choices=["yes", "no"], timeout_s=9.0, by=["ops"], routes={"yes": "wait", "no": END}
    )
    flow.wait("paid", schema={"type": "object"}, timeout_s=8.0)
    flow.wait(event="it.came", only_if="event.data == value", name="came").wait(seconds=1.0, name="rest")
    flow.ask("How many?", schema={"type": "integer"}, name="many")
    return flow.step(same, approve={"by": ["ops"], "timeout_s": 7.0}).step(half, approve=True)


def people_decorated() -> Flow:
    """The same."""
    flow = Flow("people")
    flow.node(name="ask", routes={"yes": "wait", "no": END})(
        Ask("Go on?", choices=["yes", "no"], timeout_s=9.0, by=["ops"])
    )
    flow.node(name="wait")(Wait("paid", schema={"type": "object"}, timeout_s=8.0))
    flow.node(name="came")(Wait(event="it.came", only_if="event.data == value"))
    flow.node(name="rest")(Wait(seconds=1.0))
    flow.node(name="many")(Ask("How many?", schema={"type": "integer"}))
    flow.node(approve={"by": ["ops"], "timeout_s": 7.0})(same)
    flow.node(approve=True)(half)
    return flow


PEOPLE = """
  nodes:
    ask: {ask: {question: Go on?, choices: ["yes", "no"], timeout_s: 9.0, by: [ops]}, routes: {"yes": wait, "no": null}}
    wait: {wait: {signal: paid, schema: {type: object}, timeout_s: 8.0}, next: came}
    came: {wait: {event: it.came, if: event.data == value}, next: rest}
    rest: {wait: {seconds: 1.0}, next: many}
    many: {ask: {question: How many?, schema: {type: integer}}, next: same}
    same: {uses: "./ways.py:same", approve: {by: [ops], timeout_s: 7.0}, next: half}
    half: {uses: "./ways.py:half", approve: true}
"""
UNDO = Compensation(undo, input={"$ref": "item.result"}, effect="effect", on_unknown="fail", policies=[Plain()])


def saga_fluent() -> Flow:
    """What undoes what."""
    return Flow("saga").step(same, compensate=UNDO).step(half, compensate=marked).step(None, name="said", emits="done")


def saga_decorated() -> Flow:
    """The same."""
    flow = Flow("saga")
    flow.node(compensate=UNDO)(same)
    flow.node(compensate=marked)(half)
    return flow.step(None, name="said", emits="done")


SAGA = """
  nodes:
    same:
      uses: ./ways.py:same
      compensate:
        {uses: "./ways.py:undo", input: {$ref: item.result}, effect: effect, on_unknown: fail, policies: [plain]}
      next: half
    half: {uses: "./ways.py:half", compensate: "./ways.py:marked", next: said}
    said: {emit: done}
"""


def keys() -> list[StateKey[Any]]:
    """The declared state."""
    return [
        StateKey("n", default=0, schema={"type": "integer"}, scope="run"),
        StateKey("seen", default=[], reducer="append"),
        StateKey("own", scope="node", reducer=ways.larger),
    ]


def state_fluent() -> Flow:
    """Keys, reducers and what binds them as a whole."""
    flow = Flow("state", reducers={"n": "max"}).step(Keep, name="keep")
    return flow.keeps(*keys(), schema={"type": "object"}, model=ways.Model)


def state_decorated() -> Flow:
    """The same."""
    flow = Flow("state", reducers={"n": "max"}).keeps(*keys(), schema={"type": "object"}, model=ways.Model)
    flow.node(name="keep")(Keep)
    return flow


STATE = """
  reducers: {n: max}
  state_schema: {type: object}
  state_model: ./ways.py:Model
  state:
    n: {default: 0, schema: {type: integer}, scope: run}
    seen: {default: [], reducer: append}
    own: {scope: node, reducer: "./ways.py:larger"}
  nodes: {keep: {uses: "./ways.py:Keep"}}
"""


def choices_fluent() -> Flow:
    """Two ways at once that come together."""
    flow = Flow("choices").step(both, routes={"big": "half", "small": "same"}, join="end_of")
    flow.aside(half, routes={"default": "end_of"}).aside(same, routes={"default": "end_of"})
    return flow.aside(same, name="end_of")


def choices_decorated() -> Flow:
    """The same."""
    flow = Flow("choices")
    flow.node(routes={"big": "half", "small": "same"}, join="end_of")(both)
    for function in (half, same):
        flow.node(aside=True, routes={"default": "end_of"})(function)
    flow.node(aside=True, name="end_of")(same)
    return flow


CHOICES = """
  nodes:
    both: {uses: "./ways.py:both", routes: {big: half, small: same}, join: end_of}
    half: {uses: "./ways.py:half", next: end_of}
    same: {uses: "./ways.py:same", next: end_of}
    end_of: {uses: "./ways.py:same"}
"""
CASES: dict[str, tuple[Callable[[], Flow], Callable[[], Flow], str]] = {
    "sequence": (sequence_fluent, sequence_decorated, SEQUENCE),
    "routes": (routes_fluent, routes_decorated, ROUTES),
    "when": (when_fluent, when_decorated, CHOICE),
    "loop": (loop_fluent, loop_decorated, LOOP),
    "forks": (forks_fluent, forks_decorated, FORKS),
    "goto": (goto_fluent, goto_decorated, GOTO),
    "batch": (batch_fluent, batch_decorated, EACH),
    "nested": (nested_fluent, nested_decorated, NESTED),
    "people": (people_fluent, people_decorated, PEOPLE),
    "saga": (saga_fluent, saga_decorated, SAGA),
    "state": (state_fluent, state_decorated, STATE),
    "choices": (choices_fluent, choices_decorated, CHOICES),
}


def fields(thing: object) -> dict[str, object]:
    """All slots and attributes but what is made of them."""
    names = [name for each in type(thing).__mro__ for name in getattr(each, "__slots__", ())]
    found = {name: getattr(thing, name) for name in (*names, *getattr(thing, "__dict__", ())) if name[0] != "_"}
    return {name: value for name, value in found.items() if name not in UNUSED.get(type(thing), ())}


def shape(thing: object) -> object:
    """The thing as plain data; code stands there by its name, for a manifest loads a copy of it."""
    if isinstance(thing, ONLY_SHAPE):
        kind = "Graph" if isinstance(thing, Graph) else type(thing).__name__
        return kind, {name: shape(value) for name, value in fields(thing).items()}
    if isinstance(thing, dict):
        return {name: shape(value) for name, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [shape(each) for each in thing]
    if thing is None or isinstance(thing, (str, int, float, bool)):
        return thing
    return getattr(thing, "__name__", type(thing).__name__)


def in_yaml(folder: Path, name: str) -> tuple[Kernel, Flow]:
    """The flow as a manifest has it."""
    shutil.copy(os.fspath(ways.__file__), folder / "ways.py")
    (folder / "m.yaml").write_text(POLICY + HEAD.format(name=name) + CASES[name][2], encoding="utf-8")
    kernel = Kernel.from_manifest(str(folder / "m.yaml"), trust_code=True)
    return kernel, kernel._wiring.composition.flow(name)


@pytest.mark.parametrize("name", CASES)
def test_the_graph_is_the_same_however_it_is_built(name: str, tmp_path: Path) -> None:
    """In each option of each part, and without a finding."""
    fluent, decorated, _ = CASES[name]
    _, written = in_yaml(tmp_path, name)
    for flow in (fluent(), decorated(), written):
        if name != "state":  # its model only stands for one
            flow.check()
    assert shape(decorated()) == shape(fluent())
    if name == "sequence":
        written.start = "one"
    assert shape(written) == shape(fluent())


@pytest.mark.parametrize("kind", [Step, Parallel, Graph, Ask, Wait, Approval, StateKey], ids=lambda kind: kind.__name__)
def test_every_option_is_used_in_some_graph(kind: type) -> None:
    """An option that is new has to be given in all three ways, for here it is missed otherwise."""
    plain: dict[type, object] = {
        Step: Step("x", None), Parallel: Parallel({"a": None}), Graph: Flow("x"), Ask: Ask("x"), Wait: Wait(),
        Approval: Approval(), StateKey: StateKey("x"),
    }  # fmt: skip
    usual = fields(plain[kind])
    seen: set[str] = set()
    todo: list[object] = [fluent() for fluent, _, _ in CASES.values()]
    while todo:
        thing = todo.pop()
        if isinstance(thing, ONLY_SHAPE):
            own = fields(thing)
            if isinstance(thing, kind):
                seen |= {name for name, value in own.items() if shape(value) != shape(usual[name])}
            todo += own.values()
        elif isinstance(thing, (dict, list, tuple)):
            todo += thing.values() if isinstance(thing, dict) else thing
    only_of_agents = {"tools"} if kind is Approval else set()
    assert set(usual) - seen - only_of_agents == set()


@pytest.mark.parametrize("way", ["fluent", "decorated", "yaml"])
def test_a_flow_that_is_two_nodes_runs_twice_on_one_state(way: str, tmp_path: Path) -> None:
    """Its state is that of the flow round it, in each way of building."""
    if way == "yaml":
        _, flow = in_yaml(tmp_path, "nested")
    else:
        flow = CASES["nested"][0 if way == "fluent" else 1]()
    assert flow.run_sync(12) == {"n": 14, "it": 3}


def test_options_at_a_function_hold_where_it_becomes_a_step() -> None:
    """What a step says itself goes before."""
    step = Flow("f").step(marked).steps["marked_name"]
    assert (step.effect, step.blocking, step.timeout_s) == ("pure", "inline", 9.0)
    assert Flow("f").step(marked, effect="effect", name="x").steps["x"].effect == "effect"
    assert Parallel({"a": marked}).steps["a"].timeout_s == 9.0
    assert marked(3) == 3


def test_an_option_that_no_step_has_is_refused_where_it_stands() -> None:
    """At the function, before any flow takes it."""
    with pytest.raises(UsageError, match="A node has no option 'retires'"):
        marks.node(retires=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="has no option 'retires'"):
        Flow("f").node(retires=3)(same)  # type: ignore[call-overload]
