"""The code of the flows that are built in three ways; the manifests load a copy of this file."""

from __future__ import annotations

from agentflow_kernel import Goto, Node, Route, node


def pick(value):
    """Chooses by the size of the value."""
    return Route("big" if value > 10 else "small", value)


def both(value):
    """Chooses two ways."""
    return Route(["big", "small"], value)


def same(value):
    """The value."""
    return value


def half(value):
    """Half of it."""
    return value // 2


def spread(value):
    """One branch for each."""
    return [Goto("work", number) for number in range(value)]


def undo(value):
    """Undoes."""


def larger(before, value):
    """A reducer."""
    return value if before is None else max(before, value)


@node(effect="pure", blocking="inline", timeout_s=9.0, name="marked_name")
def marked(value):
    """Has options of its own."""
    return value


class Keep(Node):
    """Writes what it gets."""

    async def post(self, shared, prepared, result):
        shared.set("n", result)


class Add(Node):
    """Adds to what the state holds."""

    reads = ("n",)

    async def post(self, shared, prepared, result):
        shared.set("n", shared.get("n") + 1)


class Model:
    """Stands for a pydantic model."""


class Plain:
    """A policy that does nothing."""

    def wrap(self, call):
        return call


def plain(settings, context):
    """The policy of manifests."""
    return Plain()
