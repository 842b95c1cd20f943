"""A graph: which steps of a plan wait for which, why, and where its routes and loops lead."""

from __future__ import annotations

from typing import cast

from agentflow_planner_llm.plan.condition import read_condition
from agentflow_planner_llm.plan.reference import ROOTS, Reference, find_references, may_refer
from agentflow_planner_llm.plan.step import END

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from typing import TypeAlias

    from agentflow_kernel.contracts.tool import Effect, Tool
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.document import Plan
    from agentflow_planner_llm.plan.step import Step

    Where: TypeAlias = tuple[str | int, ...]

_NONE: frozenset[int] = frozenset()


class Loop:
    """A route back: from ``source`` to ``target``, at most ``most`` times; ``body`` is what is done again.

    ``kept`` steps of the body are done once: they give the same each time.
    """

    __slots__ = ("source", "target", "route", "most", "body", "kept")

    def __init__(self, source: int, target: int, route: int, most: int, body: frozenset[int]) -> None:
        self.source = source
        self.target = target
        self.route = route
        self.most = most
        self.body = body
        self.kept: frozenset[int] = frozenset()


class Unknown:
    """A name in a plan that is the id of no step, or in linear form of a ``later`` one: who says it, at what place."""

    __slots__ = ("step", "name", "where", "later")

    def __init__(self, step: str, name: str, where: Where, *, later: bool = False) -> None:
        self.step = step
        self.name = name
        self.where = where
        self.later = later


class Graph:
    """The steps of a plan by index, and for each the indexes of what it waits for, by the kind of its waiting.

    ``data`` are steps whose results it uses and must have; ``declared`` are the ``needs`` that stand in the document.
    Both keep it from running when they gave nothing. ``soft`` are steps whose result or end it looks at and can do
    without, or of which it asks how they ended, ``order`` only comes before it. ``topological`` is an order of all
    steps that agrees with all of these, and with the document where it may; empty where the steps wait in a circle,
    which ``cycle`` then shows.
    """

    __slots__ = (
        "plan", "facts", "steps", "index", "references", "output_references", "faults", "unknown", "data",
        "declared", "soft",
        "order", "waits", "routed", "astray", "loops", "topological", "cycle", "effects", "used", "stateful",
        "by_state",
    )  # fmt: skip

    def __init__(self, plan: Plan, tools: Mapping[str, Tool], facts: Collection[str] = ()) -> None:
        self.plan = plan
        self.facts = facts
        """Ids of steps that were done in earlier versions of the plan."""
        self.steps: list[Step] = list(plan.steps)
        self.index: dict[str, int] = {step.id: number for number, step in enumerate(self.steps)}
        if len(self.index) < len(self.steps) or "" in self.index:
            unique = {step.id: step for step in reversed(self.steps) if step.id}
            self.steps = [step for step in self.steps if unique.get(step.id) is step]
            self.index = {step.id: number for number, step in enumerate(self.steps)}
        size = len(self.steps)
        self.references: list[Sequence[Reference]] = [()] * size
        self.output_references: list[Reference] = []
        self.faults: list[tuple[int, str, Where]] = []
        """References that are none: the step's index or -1 for the output, what is wrong, where."""
        self.unknown: list[Unknown] = []
        self.data: list[frozenset[int]] = [_NONE] * size
        self.declared: list[frozenset[int]] = [_NONE] * size
        self.soft: list[frozenset[int]] = [_NONE] * size
        self.order: list[frozenset[int]] = [_NONE] * size
        self.waits: list[frozenset[int]] = [_NONE] * size
        """Everything that has to have ended before a step: the four together."""
        self.routed: dict[int, list[tuple[int, int]]] = {}
        """For steps that run only when a route leads to them: the sources, each with the number of its route."""
        self.astray: list[tuple[int, int]] = []
        """Routes that lead to no step: the step and the number of its route."""
        self.loops: list[Loop] = []
        self.effects: list[Effect] = [effect_of(step, tools) for step in self.steps]
        self.used: set[int] = set()
        """Steps whose result the output or a later step looks at."""
        self.stateful: set[int] = set()
        """Steps that refer to the state."""
        self.by_state: dict[int, set[int]] = {}
        """What a step waits for because of the state."""
        self.cycle: list[int] = []
        self._connect()
        self.topological: list[int] = self._sort()
        if self.topological:
            back = self._follow_routes()
            self._order_state()
            self._make_loops(back)

    def writes(self) -> Iterator[tuple[str, int]]:
        """Each key of the state with each of its writers."""
        for index, step in enumerate(self.steps):
            for key in step.writes:
                yield key, index

    def reads(self, index: int) -> set[str]:
        """The keys of the state that a step reads."""
        step = self.steps[index]
        keys = set(step.reads)
        keys |= {str(reference.path[0]) for reference in self.references[index] if reference.root == "state"}
        for text in self.texts(index):
            for path in read_condition(text).paths:
                if path[0] == "state" and len(path) > 1:
                    keys.add(str(path[1]))
        return keys

    def _readers(self) -> list[int]:
        return [number for number, step in enumerate(self.steps) if step.reads or number in self.stateful]

    def texts(self, index: int) -> Iterator[str]:
        """The conditions that stand in a step and in its routes, without ``expect``, which sees the result only."""
        step = self.steps[index]
        if step.when is not None:
            yield step.when
        for route in step.routes:
            if route.when is not None:
                yield route.when

    def _connect(self) -> None:
        """Find what every step waits for by its references, needs and conditions."""
        for number, step in enumerate(self.steps):
            if step.args and may_refer(step.args):
                self._read_arguments(number, step.args)
            if step.needs:
                named = [self._target(number, name, ("needs", position)) for position, name in enumerate(step.needs)]
                self.declared[number] = frozenset(target for target in named if target is not None)
            if step.when is not None:
                self._look(number, step.when, ("when",))
            if step.routes:
                for position, route in enumerate(step.routes):
                    if route.when is not None:
                        self._look(number, route.when, ("routes", position, "when"))
        if self.plan.form == "linear":
            self.order[1:] = [frozenset((number,)) for number in range(len(self.steps) - 1)]
        kinds = zip(self.data, self.declared, self.soft, self.order, strict=True)
        self.waits = [
            data if not (declared or soft or order) else frozenset().union(data, declared, soft, order)
            for data, declared, soft, order in kinds
        ]
        self._read_output()

    def _read_arguments(self, number: int, args: Mapping[str, JSON]) -> None:
        """Find the references in the arguments of a step, and the steps that they lead to."""
        found: list[Reference] = []
        faults: list[tuple[str, Where]] = []
        find_references(cast("JSON", args), (), found, faults)
        for text, where in faults:
            self.faults.append((number, text, ("args", *where)))
        if not found:
            return
        self.references[number] = found
        hard: list[int] = []
        soft: list[int] = []
        for reference in found:
            root = reference.root
            if root not in ROOTS:
                target = self._target(number, root, ("args", *reference.where))
                if target is not None:
                    (soft if reference.tolerant or reference.path[0] != "result" else hard).append(target)
            elif root == "state":
                self.stateful.add(number)
        self.used.update(hard, soft)
        self.data[number] = frozenset(hard)
        self.soft[number] = frozenset(soft)

    def _read_output(self) -> None:
        """Find the references in the output of the plan."""
        faults: list[tuple[str, Where]] = []
        find_references(self.plan.output, (), self.output_references, faults)
        self.faults.extend((-1, text, ("output", *where)) for text, where in faults)
        for reference in self.output_references:
            if reference.root not in ROOTS:
                if reference.root in self.index:
                    self.used.add(self.index[reference.root])
                elif reference.root not in self.facts:
                    self.unknown.append(Unknown("", reference.root, ("output", *reference.where)))

    def _target(self, number: int, name: str, where: Where) -> int | None:
        """The index of a step that another one names; a name that is none of a step before it is noted."""
        target = self.index.get(name)
        if target is None and name in self.facts:
            return None
        if target is None or (target >= number and self.plan.form == "linear"):
            self.unknown.append(Unknown(self.steps[number].id, name, where, later=target is not None))
            return None
        return target

    def _look(self, number: int, text: str, where: Where) -> None:
        """Make a step wait for the steps that a condition names."""
        own = where[0] == "routes"
        for name in sorted(read_condition(text).names):
            if name == "state":
                self.stateful.add(number)
            if name in ROOTS or (own and name == "result"):
                continue
            if own and name == self.steps[number].id:
                continue
            target = self._target(number, name, where)
            if target is not None:
                self.soft[number] |= {target}
                self.used.add(target)

    def _sort(self) -> list[int]:
        """The steps in an order that agrees with what they wait for, and with the document where it may."""
        size = len(self.steps)
        needs = self.waits
        for number, each in enumerate(needs):
            if each and max(each) >= number:
                break
        else:
            return list(range(size))
        followers: list[list[int]] = [[] for _ in range(size)]
        left = [0] * size
        for number, each in enumerate(needs):
            left[number] = len(each)
            for need in each:
                followers[need].append(number)
        import heapq  # lazy: only plans whose document is in another order

        ready = [number for number in range(size) if not left[number]]
        found: list[int] = []
        while ready:
            number = heapq.heappop(ready)
            found.append(number)
            for follower in followers[number]:
                left[follower] -= 1
                if not left[follower]:
                    heapq.heappush(ready, follower)
        if len(found) < size:
            self.cycle = _find_circle(needs, [number for number in range(size) if left[number]])
            return []
        return found

    def _follow_routes(self) -> list[tuple[int, int, int]]:
        """Follow the routes onward; returns the routes back, each as source, target and number of the route."""
        if not any(step.routes for step in self.steps):
            return []
        position = self._positions()
        back: list[tuple[int, int, int]] = []
        for source in self.topological:
            for number, route in enumerate(self.steps[source].routes):
                target = self.index.get(route.to)
                if target is None:
                    if route.to != END:
                        self.astray.append((source, number))
                    continue
                if position[target] > position[source] or not self._leads(target, source):
                    self.routed.setdefault(target, []).append((source, number))
                    self._put_after(target, {source})
                    if position[target] < position[source]:
                        self.topological = self._sort()
                        position = self._positions()
                else:
                    back.append((source, target, number))
        return back

    def _make_loops(self, back: Sequence[tuple[int, int, int]]) -> None:
        """Find what each loop does again, also for the sake of the state, and let what comes after wait for its end."""
        for source, target, number in back:
            body = self._between(target, source)
            bound = self.steps[source].routes[number].most or 0
            self.loops.append(Loop(source, target, number, bound, body))
            for outside, needs in enumerate(self.waits):
                if outside not in body and not needs.isdisjoint(body):
                    self._put_after(outside, {source})
        if back:
            self.topological = self._sort()

    def _put_after(self, number: int, earlier: AbstractSet[int]) -> None:
        """Let a step come after others."""
        self.order[number] |= earlier
        self.waits[number] |= earlier

    def _positions(self) -> list[int]:
        position = [0] * len(self.steps)
        for place, number in enumerate(self.topological):
            position[number] = place
        return position

    def _leads(self, start: int, goal: int) -> bool:
        """Whether something that waits for ``start`` leads on to ``goal``."""
        return start in self._ancestors(goal)

    def _ancestors(self, goal: int) -> set[int]:
        """A step and everything before it."""
        found = {goal}
        todo = [goal]
        while todo:
            for need in self.waits[todo.pop()]:
                if need not in found:
                    found.add(need)
                    todo.append(need)
        return found

    def _between(self, first: int, last: int) -> frozenset[int]:
        """All steps on the ways from one to another, both included."""
        inside = {first}
        before = self._ancestors(last)
        for number in self.topological:
            if number in before and not self.waits[number].isdisjoint(inside):
                inside.add(number)
        return frozenset(inside | {last})

    def _order_state(self) -> None:
        """Let readers of the state wait for the writers before them, and writers for the readers before them."""
        writers: dict[str, set[int]] = {}
        for key, number in self.writes():
            writers.setdefault(key, set()).add(number)
        if not writers:
            return
        readers: dict[str, set[int]] = {}
        for number in self._readers():
            for key in self.reads(number):
                if key in writers:
                    readers.setdefault(key, set()).add(number)
        for key, those in readers.items():
            self._order_key(writers[key], those)
        for number, needs in self.by_state.items():
            self._put_after(number, needs)

    def _order_key(self, writers: set[int], readers: set[int]) -> None:
        """One key: writers that follow each other are not ordered here, a reader between them orders them."""
        before: set[int] = set()
        written: set[int] = set()
        reading: set[int] = set()
        for number in self.topological:
            if number in readers:
                self.by_state.setdefault(number, set()).update(written)
                if number in writers:
                    self.by_state[number].update(reading or before)
                    before, written, reading = {number}, {number}, set()
                else:
                    reading.add(number)
            elif number in writers:
                if reading:
                    before, written, reading = reading, set(), set()
                self.by_state.setdefault(number, set()).update(before)
                written.add(number)


def effect_of(step: Step, tools: Mapping[str, Tool]) -> Effect:
    """What a step does to the world: a model's answer changes nothing, everything else but a tool may."""
    if step.kind == "model":
        return "pure"
    effect: Effect = "effect"
    if step.kind == "tool":
        tool = tools.get(step.name)
        effect = "effect" if tool is None else tool.effect
    return "idempotent" if effect == "effect" and step.idempotent else effect


def _find_circle(needs: Sequence[AbstractSet[int]], among: Sequence[int]) -> list[int]:
    """One circle of steps that wait for each other, the first of them again at the end."""
    inside = set(among)
    path: list[int] = []
    at = among[0]
    while at not in path:
        path.append(at)
        at = min(needs[at] & inside)
    circle = path[path.index(at) :]
    circle.reverse()
    return [*circle[circle.index(min(circle)) :], *circle[: circle.index(min(circle))], min(circle)]
