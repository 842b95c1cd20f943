"""A machine: a compiled tree and one run of it: ticked, halted, told what has happened, stored and loaded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from agentflow_kernel.errors import PlanError, PlanInvalid
from agentflow_planner_bt._compiler import Compiler, TooLarge
from agentflow_planner_bt._run import HEAD, RUN, SCOPES, Run, raised, write
from agentflow_planner_bt._storing import VERSION, Stored, copied
from agentflow_planner_bt.leaf import Context
from agentflow_planner_bt.status import IDLE, RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.finding import PlanFinding
    from agentflow_planner_bt._compiler import Placed
    from agentflow_planner_bt._definition import Definition
    from agentflow_planner_bt._run import Memory, Part
    from agentflow_planner_bt.leaf import Leaf, Methods

MAX_ROUNDS = 1_000
"""How often one tick goes through the tree at most, where loops give way or leaves wake it."""


class Compiled:
    """A tree made ready for any number of runs; immutable.

    Raises:
        PlanInvalid: with all findings.
    """

    def __init__(self, definition: Definition, leaves: Mapping[str, Leaf] | None = None) -> None:
        self.definition = definition
        self.leaves = leaves or {}
        self.main = definition.main
        compiler = self._compiler(traces=False)
        self.findings: list[PlanFinding] = compiler.findings
        compiler.findings += definition.findings
        self._traced: Part | None = None
        try:
            self._root = compiler.tree(self.main)
            self._check_others(compiler)
        except TooLarge:
            pass
        if self.findings:
            raise PlanInvalid(self.main, self.findings)
        self.nodes: list[Placed] = compiler.nodes
        self.initial = compiler.initial
        self.timers = compiler.timers
        self.objects = compiler.leaves
        self.infos = compiler.infos
        self.scopes = compiler.scopes
        self.constants = [dict(scope.constants) for scope in compiler.scopes]
        self.keeps = compiler.keeps
        self._digest = ""

    def __deepcopy__(self, memo: object) -> Compiled:
        """Itself: it never changes, and what is compiled from functions cannot be copied anyway."""
        return self

    def _check_others(self, compiler: Compiler) -> None:
        """Compile the trees that the main one does not use, to find what is wrong with them."""
        for id in self.definition.trees:
            if id not in compiler.seen:
                other = self._compiler(traces=False)
                other.seen, other.findings = compiler.seen, self.findings
                other.tree(id)

    def _compiler(self, *, traces: bool) -> Compiler:
        return Compiler(self.definition, self.leaves, traces=traces)

    def root(self, *, traced: bool) -> Part:
        """The first node; with ``traced`` a second form of the tree over the same memory, which notes each tick."""
        if not traced:
            return self._root
        if self._traced is None:
            self._traced = self._compiler(traces=True).tree(self.main)
        return self._traced

    @property
    def digest(self) -> str:
        """What tells this tree from others: stored runs of another one are refused."""
        if not self._digest:
            text = "\n".join(f"{node.path} {node.node.type} {node.slot}" for node in self.nodes)
            self._digest = hashlib.sha256(f"{len(self.initial)}\n{text}".encode()).hexdigest()[:16]
        return self._digest


class Machine:
    """One run of a compiled tree."""

    __slots__ = ("compiled", "m", "run", "status", "rounds")

    def __init__(self, compiled: Compiled, *, rounds: int = MAX_ROUNDS) -> None:
        self.compiled = compiled
        self.rounds = rounds
        run = Run(len(compiled.constants), [_made(path, leaf) for path, leaf in compiled.objects])
        self.run = run
        self.m: Memory = [run, [{} for _ in compiled.constants], *compiled.initial]
        run.contexts = [Context(self.m, info) for info in compiled.infos]
        self.status = IDLE
        """What the last tick gave."""
        for number, constants in enumerate(compiled.constants):
            for key, value in constants.items():
                write(self.m, number, key, copied(value))

    # -- ticks

    def tick(self, *, once: bool = False, traced: bool = False, eager: bool = False) -> int:
        """One tick; ``once`` leaves what asks for another round at once to the next tick.

        ``eager`` does at once also what nodes that have got on would do at the next tick.

        Raises:
            PlanError: a node failed; everything that ran has been halted, and the tree may be ticked anew.
        """
        m, run = self.m, self.run
        root = self.compiled.root(traced=traced)
        run.trace = [] if traced else None
        run.woken = run.again = run.more = False
        run.ticked_at = run.now
        if run.errors:
            run.errors = []
        try:
            status = root.tick(m)
            if status == RUNNING and not once and (run.woken or (eager and run.more)):
                status = self._more(root, eager=eager)
        except Exception as error:
            self._stop_all(root)
            self.status = IDLE
            if isinstance(error, PlanError):
                raise
            text = "the tree is too deep for this stack" if isinstance(error, RecursionError) else f"{error}"
            raise PlanError(self.compiled.main, text) from error
        if status != RUNNING and not self.compiled.keeps:
            m[root.slot] = IDLE
        self.status = status
        return status

    def _more(self, root: Part, *, eager: bool) -> int:
        """The further rounds of a tick."""
        run, status = self.run, RUNNING
        for _ in range(self.rounds):
            run.woken = run.again = run.more = False
            status = root.tick(self.m)
            if status != RUNNING or not (run.woken or (eager and run.more)):
                break
        return status

    def halt(self) -> None:
        """Make every node IDLE; what runs is halted.

        Raises:
            PlanError: a leaf raised while it was halted; the others have been halted nevertheless.
        """
        error = self._stop_all(self.compiled.root(traced=False))
        self.status = IDLE
        self.run.woken = self.run.again = self.run.more = False
        if error is not None:
            raise error

    def _stop_all(self, root: Part) -> PlanError | None:
        """Halt all that runs, also where halting one of them raises; gives the first error."""
        first: PlanError | None = None
        for _ in range(2 * len(self.compiled.nodes) + 1):
            try:
                root.reset(self.m)
            except Exception as error:  # noqa: BLE001 -- the others have to be halted
                first = first or (error if isinstance(error, PlanError) else PlanError(self.compiled.main, f"{error}"))
            else:
                break
        return first

    # -- what happens outside

    def finish(self, action_id: str, how: str, value: Any) -> bool:
        """Note how an action ended, for its node's next tick; False where no such action is open."""
        cell = self.run.open.pop(action_id, None)
        if cell is None:
            return False
        self.m[cell + 1] = [how, value]
        return True

    def due(self) -> float | None:
        """The time at which a timer of the tree is to be looked at next, None where there is none."""
        m, seen = self.m, self.run.ticked_at
        times = [m[cell] for cell in self.compiled.timers if m[cell] is not None and m[cell] > seen]
        return min(times, default=None)

    # -- storing

    def dump(self, *, deep: bool) -> dict[str, Any]:
        """The run as JSON; with ``deep`` it shares nothing with the run."""
        run, m = self.run, self.m
        copy = copied if deep else _shared
        return {
            "version": VERSION,
            "tree": self.compiled.digest,
            "status": self.status,
            "now": run.now,
            "ticked_at": run.ticked_at,
            "woken": run.woken,
            "again": run.again,
            "more": run.more,
            "memory": [copy(value) for value in m[HEAD:]],
            "scopes": [{key: copy(value) for key, value in scope.items()} for scope in m[SCOPES]],
            "entries": [{key: [entry.kind, entry.writes] for key, entry in kept.items()} for kept in run.entries],
            "open": dict(run.open),
            "starts": [action.to_json() for action in run.starts],
            "cancels": list(run.cancels),
        }

    def load(self, document: Any) -> None:
        """Go on from what :meth:`dump` gave.

        Raises:
            NewerSchema: a newer version wrote it.
            PlanError: it is of another tree.
            ProtocolViolation: it is no stored run of this tree.
        """
        stored = Stored(self.compiled, document)  # before anything is set: what is refused changes nothing
        run = self.run
        run.now, run.ticked_at = stored.now, stored.ticked_at
        run.woken, run.again, run.more = stored.woken, stored.again, stored.more
        self.m[HEAD:] = stored.memory
        self.m[SCOPES] = stored.scopes
        run.entries = stored.entries
        run.open, run.cancels, run.starts = stored.open, stored.cancels, stored.starts
        self.status = stored.status

    def start_anew(self) -> None:
        """Back to how a new run begins; what runs must have been halted."""
        fresh = Machine(self.compiled)
        fresh.run.now, fresh.run.on_wake = self.run.now, self.run.on_wake
        fresh.run.objects = self.run.objects
        self.m, self.run = fresh.m, fresh.run
        self.status = IDLE


def _made(path: str, leaf: Leaf) -> Methods:
    """The methods of a node's leaf, or the error with the node's path."""
    try:
        return leaf.made()
    except Exception as error:
        raise raised(path, error) from error


def _shared(value: Any) -> Any:
    return value


__all__ = ("RUN", "Compiled", "Machine")
