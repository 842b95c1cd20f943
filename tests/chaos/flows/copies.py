"""Copies: runs that a person retries after they have failed or got stuck, and forks of runs that have completed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel import Flow
from agentflow_kernel.errors import PeerUnavailable
from flows.case import Case, Copy, paths

if TYPE_CHECKING:
    from agentflow_kernel import Context
    from flows.case import World


def _failing(world: World, name: str) -> Flow:
    """A batch, an event and a nested flow; then a step that fails until somebody has mended what was wrong."""

    def book(value: Any) -> Any:
        if not world.answers.get("mended"):
            raise KeyError("no such account")
        return value

    inner = Flow("inner").step(world.noted(), name="one").step(world.noted(book), name="book")
    flow = Flow(name).step(world.noted(), name="before").step(world.noted(), name="each", each=[1, 2], concurrency=2)
    flow.step(None, name="tell", emits="nobody.cares").step(inner)
    return flow.step(world.noted(sum), name="after")


def retried_run(world: World) -> Flow:
    """Retried where it failed, in the middle of a nested flow: what had completed is not done again."""
    return _failing(world, "retried_run")


def retried_from(world: World) -> Flow:
    """Retried from a step before: that one and all behind it are done anew, with keys of their own."""
    return _failing(world, "retried_from")


def retried_stuck(world: World) -> Flow:
    """Its code asks for something else every time it is taken up, so it gets stuck; the mended code does not."""

    async def ask(value: int, context: Context) -> int:
        mended = bool(world.answers.get("mended"))
        number = await context.step("add", lambda each: each + 1, value if mended else 10 + world.count("asked"))
        if not mended:
            raise PeerUnavailable("down", executed="no")
        world.effect(context)
        return number

    return Flow("retried_stuck").step(world.noted(), name="before").step(ask).step(world.noted(), name="after")


def forked_from(world: World) -> Flow:
    """A copy of a run that has completed, from one of its steps on."""
    flow = Flow("forked_from").step(world.noted(), name="a", each=[1, 2], concurrency=2)
    flow.step(world.noted(sum), name="b").step(None, name="tell", emits="nobody.cares")
    return flow.step(world.noted(lambda value: value + 1), name="c")


def forked_input(world: World) -> Flow:
    """A copy with another input begins anew."""
    return Flow("forked_input").step(world.noted(lambda n: n + 1), name="a").step(world.noted(), name="b")


def forked_input_from(world: World) -> Flow:
    """With a step and another input what was before the step stands, and the rest sees the new input."""
    flow = Flow("forked_input_from").step(world.noted(lambda n: n + 1), name="a")
    return flow.step(world.noted(sum), name="b", input=[{"$ref": "a.result"}, {"$ref": "input"}])


FAILED = [("failed", "AF-NODE-FAILED")]
WHOLE = paths("before each[0] each[1] inner/one inner/book after")
CASES = (
    Case(
        "retried_run", retried_run, 1, output=3, effects=WHOLE,
        copy=Copy("retry", FAILED, paths("inner/book after")),
    ),
    Case(
        "retried_from", retried_from, 1, output=3, effects=WHOLE,
        copy=Copy("retry", FAILED, paths("each[0] each[1] inner/one inner/book after"), step="each"),
    ),
    Case(
        "retried_stuck", retried_stuck, 1, output=2, resumes=1, effects=paths("before ask after"),
        copy=Copy(
            "retry", [("stuck", "AF-NON-DETERMINISM"), ("cancelled", "AF-RUN-CANCELLED")], paths("ask after"),
            step="ask",
        ),
    ),
    Case(
        "forked_from", forked_from, 1, output=4, effects=paths("a[0] a[1] b c"),
        copy=Copy("fork", [("completed", 4)], paths("b c"), step="b"),
    ),
    Case(
        "forked_input", forked_input, 1, output=8, effects=paths("a b"),
        copy=Copy("fork", [("completed", 2)], paths("a b"), value=7),
    ),
    Case(
        "forked_input_from", forked_input_from, 1, output=9, effects=paths("a b"),
        copy=Copy("fork", [("completed", 3)], paths("b"), step="b", value=7),
    ),
)  # fmt: skip
