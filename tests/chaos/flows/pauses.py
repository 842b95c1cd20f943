"""Pauses: what people are asked, by nodes and in them, and nodes that wait for a signal, an event or a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel import END, Flow
from agentflow_kernel.errors import ApprovalRefused
from flows.case import Case, Send, paths

if TYPE_CHECKING:
    from agentflow_kernel import Context
    from flows.case import World


def asked(world: World) -> Flow:
    """A node that asks: the answer is the way; who may not answer, or answers something else, is refused."""
    flow = Flow("asked").step(world.noted(), name="before")
    flow.ask("Pay?", name="decide", choices=["yes", "no"], by=["ops"], routes={"yes": "pay", "no": END})
    return flow.aside(world.noted(), name="pay")


def asked_too_late(world: World) -> Flow:
    """Nobody answers in time: the action ``elapsed``."""
    flow = Flow("asked_too_late")
    flow.ask("Pay?", name="decide", choices=["yes"], timeout_s=20, routes={"yes": END, "elapsed": "remind"})
    return flow.aside(world.noted(lambda _: "nobody"), name="remind")


def approved(world: World) -> Flow:
    """An effect that a person has to approve, bound to its input: other content does not count."""
    flow = Flow("approved").step(world.noted(lambda value: value + 1), name="price")
    return flow.step(world.noted(), name="charge", approve={"by": ["finance"]}).step(world.noted(), name="after")


def refused(world: World) -> Flow:
    """A refusal with its reason is a way of its own."""
    flow = Flow("refused")
    flow.step(world.noted(), name="charge", approve=True, routes={"default": END, "refused": "tell"})
    return flow.aside(world.noted(lambda refusal: refusal["reason"]), name="tell")


def refused_for_good(world: World) -> Flow:
    """Where a refusal is not routed it ends the run."""
    return Flow("refused_for_good").step(world.noted(), name="charge", approve=True)


def expired(world: World) -> Flow:
    """An approval that nobody gives in time counts as a refusal."""
    flow = Flow("expired")
    flow.step(world.noted(), name="charge", approve={"timeout_s": 20}, routes={"default": END, "refused": "tell"})
    return flow.aside(world.noted(lambda refusal: "expired"), name="tell")


def asked_within(world: World) -> Flow:
    """A node that asks how much, then for the approval of exactly that, then does it; another one is refused."""

    async def refund(order: str, context: Context) -> Any:
        euros = await context.ask("How much?", about=order, schema={"type": "integer"})
        await context.approve("refund", {"order": order, "euros": euros}, by=["finance"])
        world.effect(context)
        try:
            await context.approve("gift", {"order": order})
        except ApprovalRefused as error:
            return [euros, error.by]

    return Flow("asked_within").step(refund).step(world.noted(), name="after")


def approved_items(world: World) -> Flow:
    """Each item of a batch is approved by itself."""
    flow = Flow("approved_items").step(world.noted(), name="pay", each={"$ref": "input"}, approve=True, concurrency=2)
    return flow.step(world.noted(sum), name="all")


def wait_signal(world: World) -> Flow:
    """A node that waits for a signal with a schema."""
    flow = Flow("wait_signal").step(world.noted(), name="before").wait("go", name="wait", schema={"type": "integer"})
    return flow.step(world.noted(), name="after")


def wait_signal_elapsed(world: World) -> Flow:
    """The way on when no signal comes in time."""
    flow = Flow("wait_signal_elapsed").wait("go", name="wait", timeout_s=20, routes={"default": END, "elapsed": "tell"})
    return flow.aside(world.noted(lambda _: "nobody"), name="tell")


def wait_event(world: World) -> Flow:
    """A node that waits for the event that fits; another one of its type does not."""
    flow = Flow("wait_event").step(world.noted(), name="before")
    flow.wait(event="paid", name="wait", only_if="event.data.order == value")
    return flow.step(world.noted(lambda event: [event["type"], event["data"]]), name="after")


def wait_time(world: World) -> Flow:
    """Nodes that wait for a time, one of them longer than a run counts as at work."""
    flow = Flow("wait_time").step(world.noted(), name="before").wait(seconds=1, name="short")
    return flow.wait(seconds=20, name="long").step(world.noted(), name="after")


def yes(wait: str, number: int = 1, **fields: Any) -> Send:
    """An approval; with ``hash`` for other content than was shown."""
    return _verdict(wait, {"approved": True}, f"yes-{wait}-{number}", **fields)


def _verdict(wait: str, value: Any, identity: str, **fields: Any) -> Send:
    return Send(f"wait.opened:{wait}", "answer", wait, value, identity, **fields)


def no(wait: str) -> Send:
    """A refusal."""
    return _verdict(wait, {"approved": False, "reason": "too much"}, f"no-{wait}", by="ada")


CASES = (
    Case(
        "asked", asked, 5, output="yes", effects=paths("before pay"),
        sends=[
            Send("wait.opened:decide!ask", "answer", "decide!ask", "yes", "a", by="eve", refused="AF-NOT-ALLOWED"),
            Send("wait.opened:decide!ask", "answer", "decide!ask", "may", "b", by="ops", refused="AF-INPUT-INVALID"),
            Send("wait.opened:decide!ask", "answer", "decide!ask", "yes", "c", by="ops"),
        ],
    ),
    Case("asked_too_late", asked_too_late, 5, timed=True, output="nobody", effects=paths("remind")),
    Case(
        "approved", approved, 5, output=6, effects=paths("price charge after"),
        sends=[
            yes("charge!approve", 0, by="finance", hash="0" * 64, refused="AF-APPROVAL-MISMATCH"),
            yes("charge!approve", by="finance"),
        ],
    ),
    Case(
        "refused", refused, 5, output="too much", effects=paths("tell"),
        sends=[Send("", "answer", "elsewhere!approve", {"approved": True}, "x", refused="AF-UNKNOWN-NAME"),
               no("charge!approve")],
    ),
    Case(
        "refused_for_good", refused_for_good, 5, status="failed", code="AF-APPROVAL-REFUSED",
        sends=[no("charge!approve")],
    ),
    Case("expired", expired, 5, timed=True, output="expired", effects=paths("tell")),
    Case(
        "asked_within", asked_within, "A-17", output=[30, "ada"], effects=paths("refund after"),
        sends=[
            Send("wait.opened:refund!ask", "answer", "refund!ask", 30, "much"),
            yes("refund!approval", by="finance"), no("refund!approval@2"),
        ],
    ),
    Case(
        "approved_items", approved_items, [1, 2], output=3, effects=paths("pay[0] pay[1] all"),
        sends=[yes("pay[0]!approve"), yes("pay[1]!approve")],
    ),
    Case("wait_signal", wait_signal, 1, output=5, effects=paths("before after"),
         sends=[Send("wait.opened:go", "signal", "go", 5, "go-1")]),
    Case("wait_signal_elapsed", wait_signal_elapsed, 1, timed=True, output="nobody", effects=paths("tell")),
    Case(
        "wait_event", wait_event, 7, output=["paid", {"order": 7}], effects=paths("before after"),
        sends=[
            Send("wait.opened:wait!event", "event", "paid", {"order": 8}, "paid-8"),
            Send("wait.opened:wait!event", "event", "paid", {"order": 7}, "paid-7"),
        ],
    ),
    Case("wait_time", wait_time, 1, timed=True, output=1, effects=paths("before after")),
)  # fmt: skip
