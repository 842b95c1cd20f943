"""A pause: a node that asks a person, or waits for a signal, an event or a time."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.errors import Elapsed, RunEnded, Unsupported
from agentflow_kernel.flow.asking import Ask, Wait
from agentflow_kernel.flow.node import ELAPSED, Route
from agentflow_kernel.flow.state import copied
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.questions import ask_person
from agentflow_kernel.run.standing import TAKER, OpenWait
from agentflow_kernel.run.waits import accept, outcome_of, sleep_until_due, value_of, wait_for_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.event import Event
    from agentflow_kernel.expression import Expression
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.runtime import Context


class EventWait(OpenWait):
    """One that is open for an event; ``shared`` are those that came meanwhile and that another one has taken."""

    __slots__ = ("shared",)

    def __init__(self, path: str) -> None:
        super().__init__(path, None)
        self.shared: set[str] = set()


async def pause(node: BoundNode, context: Context, value: object) -> object:
    """Do what an :class:`Ask` or a :class:`Wait` says; the action is the answer, or ``elapsed``, where it is routed."""
    target: Ask | Wait = node.step.target  # type: ignore[assignment]  # so bound
    routes = node.step.routes
    try:
        if isinstance(target, Wait):
            return await wait_for(context, target, value)
        about, _ = to_json(value, node.name)
        answer = await ask_person(context, context.occurrence("ask"), target, about)
    except Elapsed as error:
        if ELAPSED in routes and not error.resumable:  # ours, not one of something round it
            return Route(ELAPSED)
        raise
    return Route(answer, answer) if isinstance(answer, str) and answer in routes else answer


async def wait_for(context: Context, wait: Wait, value: object) -> object:
    """What a wait ends with: the signal's value, the event, or behind a timer ``value``; raises :class:`Elapsed`."""
    if wait.seconds is not None:
        await sleep_until_due(context, context.occurrence("sleep"), wait.seconds)
        return value
    if wait.signal is not None:
        if wait.timeout_s is None and not context.run.reachable:
            raise Unsupported(
                "Waiting for a signal", "this flow runs without a kernel, so nobody can send one; give it a timeout_s."
            )
        path = context.occurrence(f"wait:{wait.signal}")
        return await wait_for_signal(context, path, wait.signal, wait.schema, wait.timeout_s)
    return await _wait_for_event(context, wait, value)


async def _wait_for_event(context: Context, wait: Wait, value: object) -> JSON:
    """The first event that comes from now on and fits; on record before anything goes on."""
    run, path = context.run, context.occurrence("event")
    what = f"Event {wait.event!r}"
    if path in run.standing.resolved:
        return value_of(copied(run.standing.resolved[path]), what)
    if run.services.subscribe is None:
        raise Unsupported("Waiting for an event", "this flow runs without a kernel, so no event comes.")
    fits = OpenWait(path, wait.schema)  # the event's data must fit; the wait itself takes all of the event
    ours, again = EventWait(path), path in run.standing.deadlines  # an earlier owner waited here
    condition: Expression | None = None
    if wait.only_if is not None:
        from agentflow_kernel.expression import Expression  # lazy: only waits with conditions pay

        condition = Expression(wait.only_if)

    async def hear(event: Event) -> None:
        document, _ = to_json(_document_of(event), path)
        if condition is not None:
            data: dict[str, object] = {"event": document, "value": value}
            if not condition.test({name: data[name] for name in condition.names}):
                return
        if fits.refusal(cast("dict[str, JSON]", document)["data"]) is not None:
            return
        heard = f"event {event.source} {event.id}"
        if heard in run.standing.known and heard not in ours.shared and not again:
            return  # it is delivered a second time, and came before this wait began
        for other in run.standing.open:
            if isinstance(other, EventWait):
                other.shared.add(heard)
        try:
            await accept(run, path, document, f"{heard}{TAKER}{path}")
        except RunEnded:
            return

    forget = run.services.subscribe(str(wait.event), hear)
    try:
        return value_of(await outcome_of(context, path, ours, wait.timeout_s), what)
    finally:
        forget()


def _document_of(event: Event) -> dict[str, object]:
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "data": event.data,
    }
