"""A branch: one way of a fork, with a path and a view of the state of its own, until the join."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import Finding
from agentflow_kernel.errors import FlowInvalid, SeveralFailed, StopFlow, UsageError
from agentflow_kernel.flow.finding import JOIN
from agentflow_kernel.flow.node import Route
from agentflow_kernel.flow.reducer import joined
from agentflow_kernel.flow.state import BranchState, copied
from agentflow_kernel.run.batch import one_of, work_through
from agentflow_kernel.run.bind import AWAIT, VISIT
from agentflow_kernel.run.fault import ENDS_RUN, is_broken
from agentflow_kernel.run.runtime import Frame
from agentflow_kernel.run.settle import Joined
from agentflow_kernel.run.walk import visit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.flow.fork import Parallel
    from agentflow_kernel.flow.key import StateRules
    from agentflow_kernel.flow.state import SharedState
    from agentflow_kernel.run.bind import BoundNode


class Roots(dict[str, object]):
    """What a branch knows: its own state once it has written, and everything that was known at the fork.

    With ``apart`` it has copies, as a journal would give it: no branch sees what another one does to its input.
    """

    __slots__ = ("_before", "_taken")

    def __init__(self, before: Mapping[str, object], *, apart: bool) -> None:
        super().__init__()
        self._before = before
        self._taken: dict[str, object] | None = {} if apart else None

    def __missing__(self, name: str) -> object:
        taken = self._taken
        if taken is None:
            return self._before[name]
        if name not in taken:
            taken[name] = copied(self._before[name])
        return taken[name]


class BranchFrame(Frame):
    """The frame of one branch: results of its fork's frame, and a state whose writes wait for the join."""

    __slots__ = ("_values", "_rules")

    def __init__(self, parent: Frame, prefix: str, values: Mapping[str, object]) -> None:
        super().__init__(parent.run, parent.graph, None, prefix)
        self.roots = Roots(parent.roots, apart=parent.run.history is None)
        self._values = values
        self._rules = parent.rules

    @property
    def rules(self) -> StateRules | None:
        """What is declared about the state of the flow that forks."""
        return self._rules

    @property
    def state(self) -> SharedState:
        """The state as of the fork, with the branch's own writes."""
        if self._state is None:
            self._state = BranchState(self._values, self._rules)
        return self._state

    @property
    def written(self) -> Sequence[Mapping[str, list[object]]]:
        """Its writes, in order."""
        return self._state.written if isinstance(self._state, BranchState) else ()


def values_of(frame: Frame) -> dict[str, object]:
    """The state at a fork."""
    if frame.graph.keys:  # some may be private, and only the state has those
        return frame.state.values()
    values = frame.roots["state"]
    return values if isinstance(values, dict) else {}


def merge(frame: Frame, node: str, values: Mapping[str, object], branches: Sequence[tuple[str, BranchFrame]]) -> None:
    """Let the writes of the branches, given in declared order with their paths, take effect together.

    Raises :class:`StateConflict` where two of them wrote one key that has no reducer.
    """
    writers = [(path, branch.written) for path, branch in branches if branch.written]
    if not writers:
        return
    rules = frame.rules
    diff = joined(values, {} if rules is None else rules.reducers, writers)
    if isinstance(frame.state, BranchState):  # an outer join merges what was written, not what became of it here
        frame.state.commit_join(diff, [change for _, written in writers for change in written], node=node)
    else:
        frame.state.commit((diff,), node=node)
    frame.roots["state"] = frame.state.snapshot()


async def run_fork(frame: Frame, node: BoundNode, path: str, value: object) -> object:
    """The results of the branches that the join waited for, by name in declared order.

    What fails, and what happens to the others then: see :class:`~agentflow_kernel.flow.fork.Parallel`.
    """
    parallel: Parallel = node.step.target  # type: ignore[assignment]  # so bound
    conditions = parallel.conditions
    started = [
        branch
        for branch in node.branches
        if branch.name not in conditions or conditions[branch.name].holds(frame.roots, value)
    ]
    decided = _decided(frame, path, parallel, started)
    if decided is not None:
        return await _Join(frame, node, path, [branch for branch in started if branch.name in decided], 0).run(value)
    needed = parallel.needed(len(started))
    if needed > len(started):
        text = f"node {node.name!r}: its join of {needed} cannot be reached, only {len(started)} branches were started"
        raise FlowInvalid(frame.graph.name, [Finding(JOIN, text, "nodes", node.name, "parallel", "join")])
    return await _Join(frame, node, path, started, needed if parallel.early else 0).run(value)


async def recall_fork(frame: Frame, node: BoundNode, path: str, value: object, names: Sequence[str]) -> object:
    """The results of a fork whose join is on record, from the records of its branches; with their state."""
    winners = [branch for branch in node.branches if branch.name in names]
    return dict(await _Join(frame, node, path, winners, 0).run(value))


def _decided(frame: Frame, path: str, parallel: Parallel, started: Sequence[BoundNode]) -> Sequence[str] | None:
    """The winners of a join that an earlier owner saw complete: those it put on record, else the first on record."""
    history = frame.run.history
    if history is None or not parallel.early:
        return None
    saved = history.decisions.get(path)
    if saved is not None:
        return saved["winners"]  # type: ignore[return-value]  # written by _decide
    needed = parallel.needed(len(started))
    done = [
        (history.done[f"{path}/{each.name}"].seq, each.name)
        for each in started
        if f"{path}/{each.name}" in history.done
    ]
    return [name for _, name in sorted(done)[:needed]] if len(done) >= needed else None


class _Join:
    """One join at work. ``needed`` is how many branches are enough, 0 where all must complete."""

    def __init__(self, frame: Frame, node: BoundNode, path: str, branches: Sequence[BoundNode], needed: int) -> None:
        self.frame = frame
        self.node = node
        self.path = path
        self.branches = branches
        self.needed = needed
        self.parallel: Parallel = node.step.target  # type: ignore[assignment]  # so bound
        self.values = values_of(frame)
        self.frames: dict[str, BranchFrame] = {}
        self.results: dict[str, object] = {}
        self.finished = 0
        self.failures: list[tuple[Exception, str]] = []
        """Errors of branches that the join can do without, or could, with their paths."""
        self.value: object = None
        self.apart = False
        """Whether each branch needs a copy of the value, as a journal would give it."""

    async def run(self, value: object) -> dict[str, object]:
        self.value = value
        self.apart = self.frame.run.history is None and value.__class__ in (list, dict)
        await work_through(len(self.branches), self.parallel.concurrency, self._one, self.frame.run)
        names = [branch.name for branch in self.branches if branch.name in self.results]
        branches = [(f"{self.path}/{name}", self.frames[name]) for name in names if name in self.frames]
        merge(self.frame, self.node.name, self.values, branches)
        return Joined((name, self.results[name]) for name in names)

    async def _one(self, index: int) -> bool:
        """Do one branch; whether the others are to be cancelled."""
        branch, run = self.branches[index], self.frame.run
        if self.needed and len(self.results) >= self.needed and self.parallel.rest == "cancel":
            return True
        if run.quiet and branch.mode != VISIT and not self.needed:
            value = copied(self.value) if self.apart else self.value
            result = branch.quick(value)  # type: ignore[misc]  # set together with the mode
            if branch.mode == AWAIT:
                result = await result
        else:
            try:
                result = await self._visit(branch)
            except Exception as error:
                if not self.needed or isinstance(error, (StopFlow, *ENDS_RUN)) or is_broken(run.history, error):
                    raise
                self.failures.append((error, run.origin_of(error)))
                if self._may_be_reached():
                    return False
                raise self._unreached() from None
        if result.__class__ is Route:
            raise UsageError(f"Branch {branch.name!r} of {self.node.name!r} chose a route; only the fork can route.")
        if self.needed and len(self.results) >= self.needed:
            return False  # it came too late
        self.results[branch.name] = result
        if len(self.results) == self.needed:
            await self._decide()
            return self.parallel.rest == "cancel"
        return False

    async def _visit(self, branch: BoundNode) -> object:
        run = self.frame.run
        path = f"{self.path}/{branch.name}"
        frame = self.frames[branch.name] = BranchFrame(self.frame, f"{self.path}/", self.values)
        if run.listener is not None:
            run.tell("branch.started", path, {"node": self.node.name, "branch": branch.name})
        result = await visit(frame, branch, copied(self.value) if self.apart else self.value)
        self.finished += 1
        if run.listener is not None:
            fields = {"node": self.node.name, "branch": branch.name, "done": self.finished, "total": len(self.branches)}
            run.tell("branch.completed", path, fields)
        return result

    def _may_be_reached(self) -> bool:
        """Whether enough branches have completed, or still can."""
        return len(self.results) >= self.needed or len(self.branches) - len(self.failures) >= self.needed

    def _unreached(self) -> BaseException:
        """All errors as one; it can be mended by resuming if as many branches as are missing can."""
        whole = one_of(self.failures, self.frame.run)
        mended = sum(getattr(error, "resumable", False) for error, _ in self.failures)
        if isinstance(whole, SeveralFailed):
            whole.resumable = len(self.results) + mended >= self.needed
        return whole

    async def _decide(self) -> None:
        """Put the winners on record before the others are told to stop: whoever goes on keeps to them."""
        history = self.frame.run.history
        if history is not None and len(self.branches) > self.needed:
            winners = [branch.name for branch in self.branches if branch.name in self.results]
            await history.commit([("decision", self.path, {"winners": winners}, "", 0)])
