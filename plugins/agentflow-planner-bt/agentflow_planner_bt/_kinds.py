"""A kind: one type of node that documents may name, with its ports and how many children it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_planner_bt.port import NOTHING, Port

if TYPE_CHECKING:
    from collections.abc import Mapping

ANY_NUMBER = 1_000_000

EXPRESSION, SCRIPT, NAME, CASES, DEEP = "expression", "script", "name", "cases", "deep"
"""Types that only ports of our own nodes have: two languages, literal text, literal values, JSON with references."""


def _own(direction: Any, kind: str, default: Any = NOTHING, *, required: bool = False) -> Port:
    """A port of a node of our own, also of those types that no leaf can declare."""
    port = Port(direction, "any", default, required=required)
    port.type = kind
    return port


class Kind:
    """``group`` is control, decorator, leaf, action or subtree; ``main`` the port that a leaf's bare value goes to."""

    __slots__ = ("name", "group", "least", "most", "ports", "main", "waits")

    def __init__(
        self, name: str, group: str, ports: Mapping[str, Port], *, children: tuple[int, int], main: str, waits: bool
    ) -> None:
        self.name = name
        self.group = group
        self.least, self.most = children
        self.ports = dict(ports)
        self.main = main
        self.waits = waits
        """Whether it may stay RUNNING by itself: an action, a timer."""


def _number(default: Any = NOTHING, *, required: bool = False) -> Port:
    return _own("in", "integer", default, required=required)


_SECONDS = {"seconds": _own("in", "number"), "msec": _own("in", "number")}
_STATUS_OF = {"success": "SUCCESS", "failure": "FAILURE", "running": "RUNNING"}
CONVERTERS = {
    f"{first}_is_{second}": (_STATUS_OF[first], _STATUS_OF[second])
    for first in _STATUS_OF
    for second in _STATUS_OF
    if first != second
}
"""The decorators that turn one status of their child into another."""


def _controls() -> dict[str, tuple[dict[str, Port], tuple[int, int]]]:
    several = (1, ANY_NUMBER)
    yields = {"yields": _own("in", "boolean", default=False)}
    return {
        "sequence": (yields, several),
        "sequence_resume": ({}, several),
        "reactive_sequence": ({}, several),
        "fallback": (yields, several),
        "reactive_fallback": ({}, several),
        "parallel": ({"success": _number(-1), "failure": _number(1)}, several),
        "parallel_all": ({"max_failures": _number(1)}, several),
        "if_then_else": ({}, (2, 3)),
        "while_do_else": ({}, (2, 3)),
        "switch": ({"variable": _own("in", "any", required=True), "cases": _own("in", CASES, required=True)}, several),
        "try_catch": ({"catch_on_halt": _own("in", "boolean", default=False)}, (2, ANY_NUMBER)),
    }


def _py_trees_controls() -> dict[str, tuple[dict[str, Port], tuple[int, int]]]:
    several = (1, ANY_NUMBER)
    memory = {"memory": _own("in", "boolean", default=True)}
    policy = {
        "policy": _own("in", NAME, "all"),
        "synchronise": _own("in", "boolean", default=True),
        "selected": _own("in", CASES, []),
    }
    return {"sequence": (memory, several), "fallback": (memory, several), "parallel": (policy, several)}


def _decorators() -> dict[str, dict[str, Port]]:
    status = _own("in", "status", "FAILURE")
    return {
        "inverter": {},
        "force_success": {},
        "force_failure": {},
        "repeat": {"times": _number(required=True)},
        "retry": {"times": _number(required=True)},
        "keep_running_until_failure": {},
        "run_once": {"then_skip": _own("in", "boolean", default=True)},
        "delay": _SECONDS,
        "timeout": _SECONDS,
        "for_each": {
            "queue": _own("inout", "array", required=True),
            "value": _own("out", "any", required=True),
            "if_empty": _own("in", "status", "SUCCESS"),
        },
        "precondition": {"if": _own("in", EXPRESSION, required=True), "else": status},
        "skip_unless_updated": {"key": _own("out", "any", required=True)},
        "wait_value_update": {"key": _own("out", "any", required=True)},
        **_shared_decorators(),
    }


def _shared_decorators() -> dict[str, dict[str, Port]]:
    """Those of py_trees, which trees of both kinds may use."""
    return {
        "one_shot": {"policy": _own("in", NAME, "completion")},
        "eternal_guard": {"if": _own("in", EXPRESSION, required=True)},
        "condition": {"status": _own("in", "status", required=True)},
        "count": {"key": _own("out", "any")},
        "pass_through": {},
        "status_to_blackboard": {"key": _own("out", "any", required=True)},
        **{name: {} for name in CONVERTERS},
    }


def _py_trees_decorators() -> dict[str, dict[str, Port]]:
    own = _decorators()
    names = ("inverter", "repeat", "retry", "timeout")
    return {**{name: own[name] for name in names}, **_shared_decorators()}


def _leaves() -> dict[str, tuple[dict[str, Port], str, bool]]:
    return {
        "always_success": ({}, "", False),
        "always_failure": ({}, "", False),
        "always_running": ({}, "", True),
        "scripted": ({"statuses": _own("in", CASES, required=True)}, "statuses", False),
        "script": ({"code": _own("in", SCRIPT, required=True)}, "code", False),
        "check": ({"if": _own("in", EXPRESSION, required=True)}, "if", False),
        "set": ({"key": _own("out", "any", required=True), "value": _own("in", DEEP, required=True)}, "", False),
        "unset": ({"key": _own("out", "any", required=True)}, "key", False),
        "sleep": (_SECONDS, "seconds", True),
        "was_updated": ({"key": _own("out", "any", required=True)}, "key", False),
    }


def _actions() -> dict[str, tuple[dict[str, Port], str, bool]]:
    out = {"out": _own("out", "any")}
    called = {"name": _own("in", NAME, required=True), "input": _own("in", DEEP), **out}
    return {
        "tool": ({"name": _own("in", NAME, required=True), "args": _own("in", DEEP), **out}, "name", True),
        "agent": (called, "name", True),
        "flow": (called, "name", True),
        "plan": (called, "name", True),
        "model": (
            {
                "messages": _own("in", DEEP, required=True),
                "tools": _own("in", CASES, []),
                "output_schema": _own("in", DEEP),
                **out,
            },
            "messages",
            True,
        ),
        "emit": (
            {
                "type": _own("in", NAME, required=True),
                "data": _own("in", DEEP),
                "subject": _own("in", "string"),
            },
            "type",
            True,
        ),
        "wait": (
            {
                "seconds": _own("in", "number"),
                "signal": _own("in", "string"),
                "event": _own("in", "string"),
                "only_if": _own("in", NAME),
                "timeout_s": _own("in", "number"),
                "schema": _own("in", DEEP),
                **out,
            },
            "seconds",
            True,
        ),
        "ask": (
            {
                "question": _own("in", "string", required=True),
                "choices": _own("in", DEEP),
                "schema": _own("in", DEEP),
                "timeout_s": _own("in", "number"),
                "by": _own("in", DEEP),
                "about": _own("in", DEEP),
                **out,
            },
            "question",
            True,
        ),
    }


ACTIONS = tuple(_actions())
"""The kinds of leaves that are actions of the engine."""

SUBTREE = Kind(
    "subtree",
    "subtree",
    {
        "tree": _own("in", NAME, required=True),
        "ports": _own("in", CASES, {}),
        "autoremap": _own("in", "boolean", default=False),
    },
    children=(0, 0),
    main="tree",
    waits=False,
)


def _table(
    controls: Mapping[str, tuple[dict[str, Port], tuple[int, int]]], decorators: Mapping[str, dict[str, Port]]
) -> dict[str, Kind]:
    found = {
        name: Kind(name, "control", ports, children=count, main="", waits=False)
        for name, (ports, count) in controls.items()
    }
    for name, ports in decorators.items():
        waits = name in {"delay", "wait_value_update"}
        found[name] = Kind(name, "decorator", ports, children=(1, 1), main="", waits=waits)
    for group, leaves in (("leaf", _leaves()), ("action", _actions())):
        for name, (ports, main, waits) in leaves.items():
            found[name] = Kind(name, group, ports, children=(0, 0), main=main, waits=waits)
    return {**found, "subtree": SUBTREE}


BTCPP = _table(_controls(), _decorators())
PY_TREES = _table(_py_trees_controls(), _py_trees_decorators())
SEMANTICS = {"btcpp": BTCPP, "py_trees": PY_TREES}
"""The kinds of nodes by the semantics of their tree."""

NAMES = frozenset((*BTCPP, *PY_TREES, "selector"))
"""Names that no leaf may have."""

MODIFIERS = ("failure_if", "success_if", "skip_if", "while", "on_success", "on_failure", "on_halted", "post")
"""Conditions before a node and scripts after it, in the order in which they are looked at."""
ATTRIBUTES = frozenset((*MODIFIERS, "name", "errors", "description"))
"""What every node may have beside its ports."""
