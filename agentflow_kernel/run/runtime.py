"""A run: one execution of a flow or agent, with its frames, its state, its listeners and its limits."""

from __future__ import annotations

from agentflow_kernel.errors import RunCancelled, Unsupported, UsageError
from agentflow_kernel.flow.state import SharedState
from agentflow_kernel.run.durable import DurableCalls
from agentflow_kernel.run.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

    from agentflow_kernel.contracts.bus import Handler
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.memory import Entry, Memory
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.event import Event
    from agentflow_kernel.flow.graph import Graph
    from agentflow_kernel.flow.key import StateRules
    from agentflow_kernel.run.compensate import Due
    from agentflow_kernel.run.history import History
    from agentflow_kernel.run.metering import Meters
    from agentflow_kernel.run.observing import RunObserver
    from agentflow_kernel.run.progress import Listener
    from agentflow_kernel.run.standing import Standing

_SHA256: list[Callable[[bytes], Any]] = []
"""The function once it was asked for: an import in the call would make each key a third dearer."""
GRACE_S = 5.0
"""How long a cancelled run waits for its threads before it names them and goes on."""


class Services:
    """What a run may use of the kernel it runs in; a flow run by itself has only a clock.

    ``subscribe`` has a handler called for each event of a type, until what it gives back is called.
    ``observe`` makes the observer of a run from its id and name, ``None`` where nobody listens for traces or metrics.
    """

    __slots__ = ("clock", "memory", "publish", "subscribe", "folder", "grace_s", "observe")

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        memory: Callable[[str], tuple[Memory, float | None]] | None = None,
        publish: Callable[[Event], Awaitable[None]] | None = None,
        subscribe: Callable[[str, Handler], Callable[[], None]] | None = None,
        folder: str | None = None,
        grace_s: float = GRACE_S,
        observe: Callable[[str, str], RunObserver | None] | None = None,
    ) -> None:
        self.clock = clock
        self.memory = memory
        self.publish = publish
        self.subscribe = subscribe
        self.folder = folder
        self.grace_s = grace_s
        self.observe = observe


class Run:
    """One run. ``history`` is ``None`` when nothing is journalled, ``listener`` when nobody listens.

    ``observer`` is ``None`` when nobody wants its trace or metrics.
    """

    __slots__ = (
        "run_id", "name", "history", "listener", "observer", "services", "loopless", "quiet", "cancelled", "abandoned",
        "reachable", "busy", "undo", "compensating", "cut", "alone", "meters", "_seq", "_unrecorded", "_blamed",
        "_standing",
    )  # fmt: skip

    def __init__(
        self,
        run_id: str,
        name: str,
        *,
        services: Services,
        history: History | None = None,
        listener: Listener | None = None,
        loopless: bool = False,
    ) -> None:
        self.run_id = run_id
        self.name = name
        self.history = history
        self.listener = listener
        self.services = services
        self.loopless = loopless
        self.observer = None if services.observe is None else services.observe(run_id, name)
        self.quiet = history is None and listener is None and self.observer is None
        """Nothing to record and nobody to tell: the engine takes the short way."""
        self.cancelled = False
        self.abandoned: list[str] = []
        self.reachable = False
        """Whether somebody has a handle and can send signals."""
        self.undo: list[Due] | None = None
        """Steps that this owner completed and that have a compensation, in that order."""
        self.compensating = False
        self.cut: list[str] | None = None
        """While what took too long is being cancelled: the paths of what was at work."""
        self.alone: tuple[str, object] | None = None
        """Name and input of the only step of its flow, where it has one and a history."""
        self.meters: Meters | None = None
        """What the models below actions of its planners use, where there are such actions."""
        self.busy = 1
        """How many of its actions may be at work, see :mod:`~agentflow_kernel.run.resting`."""
        self._seq = 0
        self._unrecorded = 0
        self._blamed: tuple[Exception, str] | None = None
        self._standing: Standing | None = None

    @property
    def standing(self) -> Standing:
        """Timers, waits, signals and patches; most runs have none."""
        if self._standing is None:
            if self.history is not None:
                self._standing = self.history.standing
            if self._standing is None:
                from agentflow_kernel.run.standing import Standing  # only runs that use it pay

                self._standing = Standing()
        return self._standing

    @property
    def rests(self) -> bool:
        """Whether anything of it waits for a time, a signal or a person."""
        return self._standing is not None and bool(self._standing.announced)

    def tell(self, name: str, path: str, fields: Mapping[str, object]) -> None:
        """Give the listener one progress event; call it only where there is a listener."""
        listener = self.listener
        if listener is not None:
            seq = self._seq
            self._seq = seq + 1
            clock = self.services.clock
            listener(Progress(name, self.run_id, seq, path, clock.now() if clock is not None else 0.0, fields))

    def blame(self, error: Exception, path: str) -> None:
        """Remember where an error came from: the first, and so the innermost, path that it passes."""
        if self._blamed is None or self._blamed[0] is not error:
            self._blamed = (error, path)

    def origin_of(self, error: BaseException) -> str:
        """The path that :meth:`blame` remembers for this error, or ``""``."""
        return self._blamed[1] if self._blamed is not None and self._blamed[0] is error else ""

    def unrecorded_event_id(self) -> str:
        """The id of an event emitted without a record: ``<run_id>/<epoch>.<n>``."""
        self._unrecorded += 1
        return f"{self.run_id}/1.{self._unrecorded}"

    def key_of(self, path: str) -> str:
        """The idempotency key of the action at ``path``: SHA-256 of run id and path, 32 hex digits."""
        if not _SHA256:
            from hashlib import sha256  # lazy: 3 ms, only who asks for keys pays

            _SHA256.append(sha256)
        key: str = _SHA256[0](f"{self.run_id}\n{path}".encode()).hexdigest()[:32]
        return key


class Frame:
    """One flow being walked: the run's own, or a nested one with its own results and state."""

    way = False
    """Whether it is one of several ways that were chosen, up to where they join."""

    __slots__ = ("run", "graph", "prefix", "roots", "visits", "settled", "_state")

    def __init__(self, run: Run, graph: Graph, value: object, prefix: str = "") -> None:
        self.run = run
        self.graph = graph
        self.prefix = prefix
        self.roots: dict[str, object] = {"input": value, "state": graph.begin_state() if graph.keys else {}}
        """``input``, ``state`` and the latest result of each node by its name."""
        self.visits: dict[str, int] = {}
        self.settled: tuple[JSON, str] | None = None
        """The last result that was put on record, with its text: mostly the next node's input."""
        self._state: SharedState | None = None

    @property
    def rules(self) -> StateRules | None:
        """What is declared about the state."""
        return self.graph.rules

    @property
    def state(self) -> SharedState:
        """The shared state; most flows have none."""
        if self._state is None:
            self._state = SharedState(self.roots["state"], self.rules)  # type: ignore[arg-type]  # put there
        return self._state

    def path_of(self, node: str) -> str:
        """The identity of the next visit of ``node``: ``parse`` the first time, ``parse@2`` the second."""
        visit = self.visits.get(node, 0) + 1
        self.visits[node] = visit
        return f"{self.prefix}{node}" if visit == 1 else f"{self.prefix}{node}@{visit}"

    def restore(self, payload: Mapping[str, JSON], node: str) -> None:
        """Take over the change of state that a completed step has on record, if it has one."""
        if "state" in payload:
            changes: Any = payload["state"]
            for diff in changes if isinstance(changes, list) else (changes,):  # a nested flow has a list of them
                self.state.apply(diff, node=node)
            self.roots["state"] = self.state.snapshot()


class Context(DurableCalls):
    """What a node may know and use beyond its input: ``def node(value, context)``."""

    __slots__ = ("run", "path", "node", "attempt", "cancelled", "may_repeat", "_occurrences", "_kept")

    def __init__(self, run: Run, path: str, node: str) -> None:
        self.run = run
        self.path = path
        """The identity of this action in the run, e.g. ``parse[3]``."""
        self.node = node
        self.attempt = 1
        """Starts at 1; a retry policy raises it."""
        self.cancelled = False
        self.may_repeat = False
        """Whether a policy may make another attempt after this one."""
        self._occurrences: dict[str, int] | None = None
        self._kept: dict[str, tuple[str, Any]] | None = None

    @property
    def kept(self) -> dict[str, tuple[str, Any]]:
        """Results of durable calls by identity, each with the hash of its input; shared by all attempts."""
        if self._kept is None:
            self._kept = {}
        return self._kept

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def key(self) -> str:
        """The idempotency key of this action: the same on every attempt and after a crash."""
        return self.run.key_of(self.path)

    @property
    def folder(self) -> str:
        """A folder for files of this run; it exists. Write a file under another name and rename it.

        Raises :class:`Unsupported` where the run has no state folder.
        """
        base = self.run.services.folder
        if base is None:
            raise Unsupported("A folder for files", "this run keeps no state on disk; give the kernel a state folder.")
        import os  # lazy: loaded at start-up by every interpreter with site

        folder = os.path.join(base, self.run.run_id)
        os.makedirs(folder, exist_ok=True)
        return folder

    def now(self) -> float:
        """Wall time in seconds; after a crash a repeated step sees a later time."""
        clock = self.run.services.clock
        if clock is None:
            import time  # lazy: a flow run by itself brings no clock

            return time.time()
        return clock.now()

    def memory(self, name: str) -> BoundMemory:
        """The memory resource ``name``, bound to this action; raises :class:`UsageError` outside a kernel."""
        find = self.run.services.memory
        if find is None:
            raise UsageError(f"Memory {name!r} is not there: this flow runs without a kernel.")
        memory, ttl_s = find(name)
        return BoundMemory(self, name, memory, ttl_s)

    def occurrence(self, call: str) -> str:
        """The identity of a sub-call: the first ``call`` of this action is ``<path>!<call>``, the second ``…@2``."""
        if self._occurrences is None:
            self._occurrences = {}
        count = self._occurrences[call] = self._occurrences.get(call, 0) + 1
        return f"{self.path}!{call}" if count == 1 else f"{self.path}!{call}@{count}"

    def has_met(self, call: str) -> bool:
        """Whether this attempt has come to the sub-call: ``charge``, or ``charge@2`` for the second one."""
        name, _, count = call.rpartition("@")
        met = self._occurrences or {}
        return met.get(name, 0) >= int(count) if name else call in met

    def for_attempt(self, attempt: int) -> Context:
        """The context of another attempt: sub-calls are numbered from one again, and nothing has cancelled it yet."""
        context = Context(self.run, self.path, self.node)
        context.attempt = attempt
        if self.run.history is not None:
            self.run.history.attempts[self.path] = attempt
        context._kept = self.kept
        return context

    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:
        """Tell listeners how far this action is; free when nobody listens."""
        if self.run.listener is not None:
            self.run.tell(
                "progress.reported", self.path, {"node": self.node, "done": done, "total": total, "unit": unit}
            )

    def tell(self, name: str, fields: Mapping[str, object]) -> None:
        """Tell listeners something of this action, ``<noun>.<past participle>``; free when nobody listens."""
        if self.run.listener is not None:
            self.run.tell(name, self.path, {"node": self.node, **fields})

    def raise_if_cancelled(self) -> None:
        """For functions in threads, which cannot be stopped from outside: call it often.

        Raises :class:`RunCancelled` when the action is being cancelled, or its run ended or suspended.
        """
        if self.cancelled or self.run.cancelled:
            raise RunCancelled(self.run.run_id)


class BoundMemory:
    """A memory as one action sees it: a namespace of its own, and writes that carry the action's key."""

    __slots__ = ("_context", "_name", "_memory", "_ttl_s")

    def __init__(self, context: Context, name: str, memory: Memory, ttl_s: float | None) -> None:
        self._context = context
        self._name = name
        self._memory = memory
        self._ttl_s = ttl_s

    async def get(self, key: str) -> Entry | None:
        """The live entry, or ``None``."""
        return await self._memory.get(self._name, key)

    async def put(self, key: str, value: JSON, *, ttl_s: float | None = None) -> Entry | None:
        """Write, and return the live entry that was there before.

        Repeating the action repeats neither the write nor its effect on the answer: the entry returned is the one
        that was there before the first time.
        """
        context = self._context
        write_key = context.run.key_of(context.occurrence(f"put:{self._name}:{key}"))
        ttl_s = self._ttl_s if ttl_s is None else ttl_s
        return await self._memory.put(self._name, key, value, ttl_s=ttl_s, write_key=write_key)

    async def delete(self, key: str) -> bool:
        """Remove; ``True`` when a live entry was there."""
        return await self._memory.delete(self._name, key)

    async def list(self, prefix: str = "", *, limit: int = 1000) -> list[Entry]:
        """Live entries in order of their keys."""
        return list(await self._memory.list(self._name, prefix, limit=limit))
