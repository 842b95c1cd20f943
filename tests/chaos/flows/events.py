"""Events: runs that emit them, runs that they start, and chains of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel import Flow
from flows.case import Case, paths

if TYPE_CHECKING:
    from flows.case import World


def emitting(world: World) -> Flow:
    """An event between two steps; nobody hears it."""
    flow = Flow("emitting").step(world.noted(), name="a").step(None, name="tell", emits="nobody.cares")
    return flow.step(world.noted(), name="b")


def order_placed(world: World) -> Flow:
    """A run that an event starts; the event comes again after a crash, and is the same run."""
    return Flow("order_placed").step(world.noted(), name="check").step(world.noted(lambda n: n + 1), name="ship")


def chain(world: World) -> Flow:
    """A run whose event starts another one, which starts a third."""
    flow = Flow("chain").step(world.noted(), name="first").step(None, name="tell", emits="link")
    return flow.step(world.noted(), name="last")


def _links(world: World) -> list[Flow]:
    link = Flow("link").step(world.noted(), name="second").step(None, name="tell", emits="end_link")
    return [link, Flow("end_link").step(world.noted(), name="third")]


CASES = (
    Case("emitting", emitting, 1, output=1, effects=paths("a b")),
    Case("order_placed", order_placed, 4, output=5, effects=paths("check ship"), event="order.placed"),
    Case(
        "chain", chain, 1, output=1, effects=paths("first last second third"), held=paths("second third"),
        others=_links,
    ),
)  # fmt: skip
