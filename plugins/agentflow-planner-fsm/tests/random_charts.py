"""Random charts: documents of every kind of state, made from a seed."""

from __future__ import annotations

import random
from typing import Any

EVENTS = ("a", "b", "a.x", "b.y.z")
DESCRIPTORS = ("a", "b", "a.x", "a.*", "*", "b.y", "a b")


class Maker:
    """Makes one document."""

    def __init__(
        self,
        seed: int,
        *,
        always: float = 0.08,
        guarded: float = 1.0,
        parallel: float = 0.4,
        history: float = 0.45,
        timed: bool = False,
        recovering: bool = False,
    ) -> None:
        self.random = random.Random(seed)
        self.regions = parallel
        self.history = history
        self.always = always
        self.guarded = guarded
        self.timed = timed
        self.recovering = recovering
        self.names: list[str] = []
        self.holders: dict[str, str] = {}
        self.parallel: set[str] = set()

    def document(self) -> dict[str, Any]:
        """A document; every state logs when it is entered and left."""
        states = self.level("", 0)
        document: dict[str, Any] = {"name": "random", "states": states}
        if self.timed:
            document["data"] = {"n": 0, "seen": []}
            states["end"] = {"final": True, "data": {"$expr": "n"}}
            self.names.append("end")
            self.holders["end"] = ""
        self.ways(states)
        return document

    def level(self, holder: str, depth: int, *, parallel: bool = False) -> dict[str, Any]:
        states: dict[str, Any] = {}
        count = self.random.randint(2, 4 if depth < 2 else 3)
        for _ in range(count):
            name = f"s{len(self.names)}"
            self.names.append(name)
            self.holders[name] = holder
            states[name] = self.state(name, depth)
        if depth and not parallel and self.random.random() < 0.5:
            self.names.append(f"s{len(self.names)}")
            self.holders[self.names[-1]] = holder
            states[self.names[-1]] = {"final": True, "enter": [{"log": f"+{self.names[-1]}"}]}
        if depth and self.random.random() < self.history:
            name = f"h{len(self.names)}"
            inner = [key for key, value in states.items() if not value.get("history")]
            default = " ".join(inner) if parallel else self.random.choice(inner)
            states[name] = {"history": self.random.choice(("shallow", "deep")), "default": default}
            self.names.append(name)
            self.holders[name] = holder
        return states

    def state(self, name: str, depth: int) -> dict[str, Any]:
        state: dict[str, Any] = {"enter": [{"log": f"+{name}"}], "exit": [{"log": f"-{name}"}]}
        if self.random.random() < 0.15:
            state["enter"].append({"raise": self.random.choice(EVENTS)})
        if depth < 3 and self.random.random() < 0.55 - 0.12 * depth:
            parallel = self.random.random() < self.regions
            state["states"] = self.level(name, depth + 1, parallel=parallel)
            if parallel:
                state["parallel"] = True
                self.parallel.add(name)
            elif self.random.random() < 0.3:
                state["initial"] = self.random.choice(list(state["states"]))
        return state

    def ways(self, states: dict[str, Any]) -> None:
        for name, state in states.items():
            if state.get("final") or state.get("history"):
                continue
            ways = [self.way(name, number) for number in range(self.random.randint(0, 3))]
            if ways:
                state["transitions"] = ways
            if self.timed and self.random.random() < 0.25:
                state["invoke"] = self.invocation(name)
            if self.timed and self.random.random() < 0.3:
                target = self.random.choice(self.names)
                state["after"] = {f"{self.random.choice((1, 2, 5))}s": target}
            self.ways(state.get("states", {}))

    def invocation(self, name: str) -> dict[str, Any]:
        """A tool, or a machine that takes events and time and talks to who invoked it."""
        kept = {"id": f"i-{name}", "finalize": ["n += 1"]}
        if self.random.random() < 0.5:
            return {**kept, "tool": "t.t", "with": {"n": {"$expr": "n"}}, **self.recovery()}
        return {**kept, "autoforward": True, "data": {"m": {"$expr": "n"}}, "chart": INNER}

    def recovery(self) -> dict[str, Any]:
        """Entries for errors, or none."""
        if not self.recovering:
            return {}
        retry = [{"errors": "X", "attempts": 3, "base_s": 2}, {"attempts": 2, "base_s": 1, "jitter": "none"}]
        catch = {"errors": self.random.choice(("X", "*")), "target": self.random.choice(self.names), "do": ["n += 1"]}
        return {key: value for key, value in (("retry", retry), ("catch", catch)) if self.random.random() < 0.9}

    def way(self, name: str, number: int) -> dict[str, Any]:
        way: dict[str, Any] = {"do": [{"log": f"{name}.{number}"}]}
        if self.random.random() >= self.always:
            other = f"done.state.{self.random.choice(self.names)}"
            answers = ("done.invoke", "error.invoke", "done.call", "up") if self.timed else ()
            way["event"] = self.random.choice((*DESCRIPTORS, other, *answers))
        if self.random.random() < 0.3 or ("event" not in way and self.random.random() < self.guarded):
            guard = f"In('{self.random.choice(self.names)}')"
            way["when"] = guard if self.random.random() < 0.6 else f"not {guard}"
        if self.random.random() < 0.85 or not {"event", "when"} & set(way):
            way["target"] = self.target()
        if self.random.random() < 0.3:
            way["internal"] = True
        if self.random.random() < 0.1:
            way["do"].append({"raise": self.random.choice(EVENTS)})
        if self.timed and self.random.random() < 0.5:
            way["do"].append(self.random.choice(TIMED))
        return way

    def target(self) -> str:
        first = self.random.choice(self.names)
        if self.random.random() < 0.2:
            others = [other for other in self.names if self.orthogonal(first, other)]
            if others:
                return f"{first} {self.random.choice(others)}"
        return first

    def orthogonal(self, one: str, other: str) -> bool:
        """Whether the nearest state that holds both is a parallel one."""
        above = [one]
        while above[-1]:
            above.append(self.holders[above[-1]])
        name = other
        while name not in above:
            name = self.holders[name]
        return name in self.parallel and name not in (one, other)


INNER: dict[str, Any] = {
    "data": {"m": 0},
    "states": {
        "k": {
            "after": {"2s": "l"},
            "transitions": [{"event": "a", "do": ["m += 1", {"send": {"event": "up", "to": "parent"}}]}],
            "states": {
                "h": {"history": "deep", "default": "k1"},
                "k1": {"transitions": [{"event": "b", "target": "k2"}]},
                "k2": {"invoke": {"tool": "t.inner"}},
            },
        },
        "l": {"transitions": [{"event": "a", "target": "h"}, {"event": "b", "target": "f"}]},
        "f": {"final": True, "data": {"$expr": "m"}},
    },
}
"""A machine that is invoked."""

TIMED: tuple[Any, ...] = (
    {"tool": "t.called", "id": "c"},
    {"agent": "a", "input": {"n": {"$expr": "n"}}},
    "n += 1",
    "seen := n % 5 == 0 ? [] : seen + [n]",
    {"send": {"event": "a", "delay": "1s", "id": "one"}},
    {"send": {"event": "b.y", "delay": "1500ms", "data": {"n": {"$expr": "n"}}}},
    {"send": {"event": "a.x", "id": "two", "delay": "3s"}},
    {"cancel": "one"},
    {"send": "b"},
    {"if": "n > 3", "then": ["n := 0"], "else": [{"raise": "a"}]},
)


def random_document(seed: int, **options: Any) -> dict[str, Any]:
    """The document of a seed.

    Options: the share of transitions without event (``always``), of guards on those (``guarded``), of parallel states
    and of states with history (``parallel``, ``history``); ``timed``, with data, delays, calls and invocations;
    ``recovering``, with entries for the errors of those.
    """
    return Maker(seed, **options).document()
