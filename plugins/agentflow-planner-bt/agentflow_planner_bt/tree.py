"""A tree: a behaviour tree that is ticked by hand, without a kernel, an event loop or a clock of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import PlanInvalid, UnknownName, UsageError
from agentflow_planner_bt._bounds import LONGEST
from agentflow_planner_bt._machine import MAX_ROUNDS, Compiled, Machine
from agentflow_planner_bt._reading import Reading
from agentflow_planner_bt._text import document_of
from agentflow_planner_bt.blackboard import Blackboard
from agentflow_planner_bt.clock import Actions, Clock
from agentflow_planner_bt.leaf import Leaf, as_leaf
from agentflow_planner_bt.status import STATUSES, Status

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from agentflow_planner_bt._definition import Definition


def define(
    document: Any, leaves: Mapping[str, Leaf], *, enums: Mapping[str, Any] | None = None, main: str = ""
) -> Definition:
    """The definition of a document, with what is wrong in its form; ``main`` goes before the tree that it names itself.

    Raises:
        PlanInvalid: with all that is wrong, where there is no tree to look at, or too large a one.
    """
    reading = Reading({name: leaf.ports for name, leaf in leaves.items()})
    if main and isinstance(document, dict) and ("trees" in document or "root" in document):
        document = {**document, "main": main}
    try:
        reading.document(document)
    except RecursionError:
        reading.found("P011", "The document is nested too deeply.")
    too_large = any(finding.code == "P011" for finding in reading.findings)
    if too_large or reading.definition.main not in reading.definition.trees:
        raise PlanInvalid(reading.definition.main, reading.findings)
    reading.definition.enums = {**reading.definition.enums, **(enums or {})}
    return reading.definition


class Tree:
    """A behaviour tree and one run of it; made by :meth:`load`. Not to be used by several threads at once."""

    def __init__(self, compiled: Compiled, *, rounds: int = MAX_ROUNDS) -> None:
        self._machine = Machine(compiled, rounds=rounds)
        self._compiled = compiled
        self._by_name: dict[str, int] | None = None
        self.clock = Clock(self._machine)
        """The time that leaves see, and when the tree wants to be ticked again."""
        self.actions = Actions(self._machine)
        """What nodes such as `tool` and `agent` have begun."""
        self.warnings: tuple[PlanFinding, ...] = tuple(compiled.definition.warnings)
        """What is allowed in the document but rarely meant."""

    @classmethod
    def load(
        cls,
        source: Mapping[str, Any] | str | os.PathLike[str],
        leaves: Mapping[str, Any] | None = None,
        *,
        main: str = "",
        enums: Mapping[str, int | float | str] | None = None,
        rounds: int = MAX_ROUNDS,
    ) -> Tree:
        """A tree that has not been ticked yet.

        ``source`` is a document as a mapping, its YAML, JSON or BehaviorTree.CPP XML, or the path of a file with one of
        these. ``leaves`` are the functions and objects behind the names of leaves, see :class:`Leaf`. ``main`` is the
        tree to run where it is not the one that the document names. ``rounds`` bounds how often one tick goes through
        the tree, where loops give way.

        Raises:
            PlanInvalid: the document has faults; ``findings`` holds all of them.
            PlanError: the class of a leaf raised when an object of it was made; it has the path of the node.
        """
        known = {name: as_leaf(leaf) for name, leaf in (leaves or {}).items()}
        definition = define(document_of(source), known, enums=enums, main=main)
        try:
            return cls(Compiled(definition, known), rounds=rounds)
        except RecursionError:
            raise PlanInvalid(definition.main, [PlanFinding("P011", "The tree is too deep for this stack.")]) from None

    # -- ticks

    def tick(self, *, exactly_once: bool = False) -> Status:
        """One tick: the status of the tree.

        Where a loop gives way after one of its turns, the tree is gone through again at once, up to ``rounds`` times;
        with ``exactly_once`` it is not, and ``clock.wants_tick`` tells.

        Raises:
            PlanError: a node failed. What ran has been halted; the next tick begins anew.
        """
        return STATUSES[self._machine.tick(once=exactly_once)]

    def traced_tick(self, *, exactly_once: bool = False) -> list[tuple[str, Status]]:
        """One tick: path and status of each node that was ticked, in the order in which they answered."""
        self._machine.tick(once=exactly_once, traced=True)
        nodes = self._compiled.nodes
        return [(nodes[number].path, STATUSES[code]) for number, code in self._machine.run.trace or ()]

    def run(self, *, max_ticks: int = 1_000) -> Status:
        """Ticks until the tree is done, moving the clock from timer to timer; RUNNING where it is not after so many.

        Raises:
            PlanError: a node failed.
        """
        status = self.tick()
        for _ in range(max_ticks - 1):
            if status is not Status.RUNNING:
                break
            wait = self.clock.due_in_s
            if wait is not None and not self.clock.wants_tick:
                self.advance(wait)
            status = self.tick()
        return status

    def halt(self) -> None:
        """Halt what runs and make every node IDLE; the blackboards keep their entries.

        Raises:
            PlanError: a leaf raised while it was halted; all others have been halted.
        """
        self._machine.halt()

    def reset(self) -> None:
        """Halt, and forget everything: blackboards, counters, what ran once. The clock goes on."""
        self._machine.halt()
        self._machine.start_anew()

    # -- time

    def advance(self, seconds: float) -> None:
        """Move the clock; what is due is seen at the next tick.

        Raises:
            UsageError: it is no finite number of seconds, or below 0: time does not go back.
        """
        run = self._machine.run
        if type(seconds) not in {int, float} or not 0 <= seconds <= LONGEST - run.now:
            raise UsageError(f"The clock is moved forward by a number of seconds, not by {seconds!r}.")
        run.now += seconds

    # -- what there is to see

    @property
    def status(self) -> Status:
        """What the last tick gave; IDLE before the first, after a halt and after an error."""
        return STATUSES[self._machine.status]

    def statuses(self) -> dict[str, Status]:
        """The status of each node by its path, from the root down."""
        m = self._machine.m
        return {node.path: STATUSES[m[node.slot]] for node in self._compiled.nodes}

    def status_of(self, node: str) -> Status:
        """The status of one node, by its path, or by its name where only one has it.

        Raises:
            UnknownName: no node has it, or several have.
        """
        if self._by_name is None:
            self._by_name = {}
            for item in self._compiled.nodes:
                self._by_name[item.name] = -1 if item.name in self._by_name else item.slot
            self._by_name |= {item.path: item.slot for item in self._compiled.nodes}
        slot = self._by_name.get(node, -1)
        if slot < 0:
            raise UnknownName("node", node, [name for name, slot in self._by_name.items() if slot >= 0])
        return STATUSES[self._machine.m[slot]]

    @property
    def blackboard(self) -> Blackboard:
        """The entries of the root tree."""
        return Blackboard(self._machine, 0)

    def blackboard_of(self, subtree: str) -> Blackboard:
        """The entries of a subtree's own, by the path of its node."""
        return Blackboard.below(self._machine, subtree)

    # -- snapshots

    def snapshot(self) -> dict[str, Any]:
        """All that the tree remembers, as JSON; leaves of Python are in it with what is in their ``context.memory``."""
        return self._machine.dump(deep=True)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot of the same document, taken in this or another process.

        Raises:
            NewerSchema: a newer version took it.
            PlanError: it is of another document.
            ProtocolViolation: it is no snapshot; the tree goes on as it was.
        """
        self._machine.load(snapshot)
