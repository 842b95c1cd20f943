"""The standing of a run: its timers, waits, signals and patches, as the history has them and as they change at work."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.errors import InputInvalid, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import anyio

    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.errors import AgentFlowError
    from agentflow_kernel.run.history import Line

    Signal = tuple[str, str, JSON]
    """Id, name and value."""

TAKER = "\x1f"
"""In the id of a signal: stands between an event and the path of the wait that takes it; other waits may do so, too."""
KEPT = frozenset((
    "timer.set", "timer.fired", "wait.opened", "wait.resolved", "signal.received", "signal.consumed", "patch",
    "cancel.requested", "compensation.started", "compensation.completed",
))  # fmt: skip
"""Types of the records that a standing is made from."""


def check_signal(name: object, signal_id: object) -> None:
    """Raise :class:`UsageError` for what can be no name or no id of a signal."""
    for what, text in (("name", name), ("id", signal_id)):
        if not isinstance(text, str) or not text or any("\ud800" <= char <= "\udfff" for char in text):
            raise UsageError(f"{text!r} is no {what} of a signal: expected a text that is not empty.")
    if "!" in str(name):
        raise UsageError(f"{name!r} is no name of a signal. What is asked there is answered, not signalled.")


class OpenWait:
    """One wait of this process; ``signal`` is set, and ``news`` with it, when a signal is meant for it."""

    __slots__ = ("name", "schema", "deadline", "news", "signal")

    asks = False
    """Whether it is for people, who are told of it."""

    def __init__(self, name: str, schema: JSON) -> None:
        self.name = name
        self.schema = schema
        self.deadline: float | None = None
        """Wall time at which it ends without a signal."""
        self.news: anyio.Event
        self.signal: Signal | None = None

    def refusal(self, value: JSON) -> AgentFlowError | None:
        """The error for the sender of a value that does not fit, ``None`` for one that does."""
        if self.schema is None:
            return None
        from agentflow_kernel.schema import find_problems  # only waits with a schema pay

        problems = find_problems(value, self.schema)
        return InputInvalid(f"Signal {self.name!r}", "; ".join(problems)) if problems else None

    def may_take_early(self, now: float) -> bool:
        """Whether a signal that came before the wait began may resolve it now."""
        return True

    def told(self) -> dict[str, JSON]:
        """What is on record of it while it is open: enough for a sender elsewhere to know what fits."""
        return {"name": self.name, "schema": self.schema, "deadline": self.deadline}

    def ended(self) -> dict[str, JSON]:
        """What is on record of its end besides how it came."""
        return {"name": self.name}


class Standing:
    """Made when a run first needs it; most runs never do."""

    __slots__ = (
        "timers", "fired", "deadlines", "resolved", "buffered", "known", "patches", "cancel_asked", "open", "turn",
        "asked", "announced", "resting", "ending", "compensated", "listeners",
    )  # fmt: skip

    def __init__(self) -> None:
        self.timers: dict[str, float] = {}
        """Wall-clock deadlines of timers by path."""
        self.fired: set[str] = set()
        self.deadlines: dict[str, float | None] = {}
        """Deadlines of the waits that were opened, by path."""
        self.resolved: dict[str, Mapping[str, JSON]] = {}
        """How the waits of earlier owners ended, by path: ``value``, or ``elapsed`` with the seconds."""
        self.buffered: dict[str, Signal] = {}
        """Signals that nobody has consumed, in the order of their arrival."""
        self.known: set[str] = set()
        """Ids of all signals that were accepted."""
        self.patches: dict[str, bool] = {}
        self.cancel_asked = False
        self.open: list[OpenWait] = []
        """Waits of this process in the order in which they began."""
        self.turn: anyio.Lock | None = None
        """Lets one signal in at a time."""
        self.asked: dict[str, Mapping[str, JSON]] = {}
        """What is asked of people and not answered on record, by the path of the wait."""
        self.ending: Mapping[str, JSON] | None = None
        """How an earlier owner was about to end the run when it began to compensate."""
        self.compensated: dict[str, Mapping[str, JSON]] = {}
        """Compensations that earlier owners completed, by path: ``result`` or ``error``."""
        self.announced: dict[str, Line] = {}
        """The record of each wait of this process that is open, by path."""
        self.listeners: list[Callable[[], None]] = []
        """Called when a signal has come that no wait took."""
        self.resting: dict[str, int] = {}
        """How many such waits each action has, by its path."""

    def take(self, record: Record) -> None:
        """Bring the standing up to date with a record of an earlier owner."""
        payload = cast("Mapping[str, JSON]", record.payload or {})
        kind, path = record.type, record.path
        if kind == "timer.set":
            self.timers[path] = cast("float", payload["deadline"])
        elif kind == "timer.fired":
            self.fired.add(path)
        elif kind == "wait.opened":
            self.deadlines[path] = cast("float | None", payload.get("deadline"))
            if "hash" in payload:
                self.asked[path] = payload
        elif kind == "wait.resolved":
            self.asked.pop(path, None)
            signal = self.buffered.pop(str(payload.get("signal")), None)
            self.resolved[path] = payload if signal is None else {"value": signal[2]}
        elif kind == "signal.received":
            signal_id = str(payload["signal"])
            self.know(signal_id)
            self.buffered[signal_id] = (signal_id, str(payload["name"]), payload.get("value"))
        elif kind == "signal.consumed":
            self.buffered.pop(str(payload["signal"]), None)
        elif kind == "patch":
            self.patches[str(payload["id"])] = bool(payload["taken"])
        elif kind == "compensation.completed":
            self.compensated[path] = payload
        elif kind == "compensation.started":
            if not path:
                self.ending = {key: value for key, value in payload.items() if key != "steps"}
        else:
            self.cancel_asked = True

    def know(self, signal_id: str) -> None:
        """Accept no second signal with this id; where it is for one taker of an event, the event is known as well."""
        self.known.add(signal_id)
        event, mark, _ = signal_id.partition(TAKER)
        if mark:
            self.known.add(event)

    def candidates(self, name: str) -> list[OpenWait]:
        """The waits that a signal of this name may still be for, the longest-waiting first."""
        return [wait for wait in self.open if wait.name == name and wait.signal is None]

    def give_up(self) -> None:
        """Wake all who wait: they will find that the history is broken."""
        for wait in self.open:
            wait.news.set()
        for tell in self.listeners:
            tell()

    def deliver(self, signal: Signal) -> None:
        """Give a signal to the first wait that it fits, or keep it."""
        for wait in self.candidates(signal[1]):
            if wait.refusal(signal[2]) is None:
                wait.signal = signal
                wait.news.set()
                return
        self.buffered[signal[0]] = signal
        for tell in self.listeners:
            tell()
