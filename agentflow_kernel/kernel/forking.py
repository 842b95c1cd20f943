"""A fork: a new run that takes over what another one has on record, up to a step, and goes on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agentflow_kernel.contracts.journal import compacted_to
from agentflow_kernel.errors import Fenced, HistoryCompacted, RunBusy, UnknownName, UsageError
from agentflow_kernel.event import uuid7
from agentflow_kernel.kernel.operations import SAME
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.snapshot import fold, leave_out, next_visit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.kernel.runs import Runs
    from agentflow_kernel.run.handle import RunHandle
    from agentflow_kernel.run.history import History, Line

_ENDED_BADLY = ("failed", "cancelled", "stuck")
_SHOWN = 10
"""Names that an error lists."""


async def retry(runs: Runs, run_id: str, step: str | None, by: str) -> RunHandle:
    """See :meth:`~agentflow_kernel.kernel.operations.RunOperations.retry`."""
    async with runs.claim(run_id):
        head = await runs.journal.head(run_id)
        if head.status == "completed":
            raise UsageError(f"Run {run_id} is completed; `fork` makes a copy of it that goes on from a step.")
        if head.status not in _ENDED_BADLY:
            raise UsageError(
                f"Run {run_id} is {head.status}; a run is retried when it has failed, was cancelled or is stuck. "
                "One whose process has stopped goes on with `resume`."
            )
        plan = _Plan(runs, run_id, await runs.records(run_id))
        await plan.take(step)
        if head.status == "stuck":
            await _end(runs, plan, by)
        return await plan.start({"kind": "retry", "by": by})


async def fork(runs: Runs, run_id: str, step: str | None, value: object, by: str) -> RunHandle:
    """See :meth:`~agentflow_kernel.kernel.operations.RunOperations.fork`."""
    head = await runs.journal.head(run_id)
    plan = _Plan(runs, run_id, await runs.records(run_id))
    if step is None and value is SAME and head.status == "completed":
        raise UsageError(
            f"Run {run_id} is completed: a copy of all of it would have nothing to do. Name the step at which the copy "
            f"goes on ({plan.some_steps()}), or give it another input."
        )
    if step is None and value is not SAME:
        plan.cut = 1
    else:
        await plan.take(step)
        plan.history.unpublished = {}  # those events are the first run's
        for record in plan.history.done.values():  # and so are the effects that a failure would undo
            payload = cast("dict[str, JSON]", record.payload)
            record.payload = {name: value for name, value in payload.items() if name != "undo"}
    if value is not SAME:
        plan.value = value
        plan.history.accept()
    return await plan.start({"kind": "fork", "by": by})


class _Plan:
    """A fork in the making; nothing is written before :meth:`start`."""

    def __init__(self, runs: Runs, run_id: str, records: Sequence[Record]) -> None:
        self.runs = runs
        self.run_id = run_id
        self.records = records
        self.cut = len(records)
        self.step = ""
        self.value: object = SAME
        self.history: History = runs.history(run_id, epoch=records[-1].epoch)

    async def take(self, step: str | None) -> None:
        """Take over the history up to ``step``, or all of it.

        Raises :class:`UnknownName` for a step that is not there, :class:`HistoryCompacted` for one that may have lain
        in what was deleted, :class:`UsageError` for one that lies in another run, and where the history holds an effect
        of which nobody knows whether it happened.
        """
        if step is not None:
            self.step = step
            places = [at for at, record in enumerate(self.records) if at and lies_in(record.path, step)]
            gone = compacted_to(self.records)
            if gone and (not places or await self._is_older(step)):
                await self._take_snapshot(step, gone)
                return
            if not places and not await self._failed_at(step):
                await self._refuse_taken_over(step)
                raise UnknownName(f"step of run {self.run_id}", step, self._near(step))
            self.cut = places[0] if places else len(self.records)
        await self.history.load(self.records[: self.cut])
        self._check()

    async def _take_snapshot(self, step: str, gone: int) -> None:
        """Take over only the snapshot behind what was deleted, if the step is the visit that it stands before."""
        await self.history.load(self.records[:2])
        if step != next_visit(self.history.position):
            raise HistoryCompacted(self.run_id, step, gone, self._near(step))
        self.cut = 2
        leave_out(self.history, step)
        self._check()

    def _check(self) -> None:
        """Make the history that was taken over that of a new run, if it can be."""
        history = self.history
        self._refuse_undone()
        unknown = sorted(history.intents.keys() - history.done.keys())
        if unknown:
            raise UsageError(
                f"Run {self.run_id} has begun {unknown[0]!r} and nobody knows whether it took effect. Look at the "
                f"receiver; then name {unknown[0]!r}, or a step before it, as the one to go on from: it is done again."
            )
        if history.standing is not None:
            history.standing.cancel_asked = False
            for path in [path for path in history.standing.timers if path.endswith("!timeout")]:
                del history.standing.timers[path]  # the new run has the time of its flow for itself

    async def _failed_at(self, step: str) -> bool:
        """Whether the run failed at the step: then nothing of it is on record, and it is done anew in any case."""
        last = self.records[-1]
        return last.type == "run.ended" and (await self.runs.payload(last)).get("path") == step

    async def _refuse_taken_over(self, step: str) -> None:
        """Raise :class:`UsageError` where the run itself is a copy that has the step from another one."""
        source = (await self.runs.payload(self.records[0])).get("forked_from")
        if source is not None and len(self.records) > 1 and await self._is_older(step):
            run_id = cast("dict[str, JSON]", source)["run"]
            raise UsageError(
                f"Run {self.run_id} has taken over {step!r} from run {run_id}; to do it again, go on from it there."
            )

    async def _is_older(self, step: str) -> bool:
        """Whether the snapshot after what was deleted knows the step, so that some of it lay there."""
        saved = await self.runs.payload(self.records[1])
        known = (cast("list[str]", saved[name]) for name in ("done", "decisions", "intents", "given_up"))
        return any(lies_in(path, step) for paths in known for path in paths)

    def _refuse_undone(self) -> None:
        """Raise :class:`UsageError` where the history to be taken over has steps that the run itself has undone."""
        undone = {
            record.path.removesuffix("!compensate")
            for record in self.records
            if record.type == "compensation.completed"
        }
        first = next((path for path in self.history.done if path in undone), None)
        if first is not None:
            raise UsageError(
                f"Run {self.run_id} has undone {first!r} when it ended. Name {first!r}, or a step before it, as the "
                "one to go on from: it is done again."
            )
        if self.history.standing is not None:
            self.history.standing.ending = None

    async def start(self, origin: dict[str, JSON]) -> RunHandle:
        """Put the new run on record, whole in one batch, and begin it."""
        started = await self.runs.payload(self.records[0])
        value = started["input"] if self.value is SAME else self.value
        last = self.records[self.cut - 1].seq + 1
        forked_from: dict[str, JSON] = {"run": self.run_id, "seq": last, "step": self.step, **origin}
        for record in self.history.done.values():
            record.seq -= last  # all of them came before what the new run does
        folded = fold(self.history, None, None) if self.cut > 1 else None
        if folded is not None and self.value is not SAME and folded["position"] is not None:
            position = cast("dict[str, dict[str, object]]", folded["position"])
            folded["position"] = {**position, "roots": {**position["roots"], "input": value}}
        lines: list[Line] = []
        if folded is not None:
            payload, text = to_json({**folded, "figures": {}}, "snapshot")
            lines.append(("snapshot", "", payload, "", len(text)))
        return await self.runs.start_copy(uuid7(), str(started["name"]), value, forked_from, lines)

    def some_steps(self) -> str:
        """A few steps, for an error."""
        steps = list(dict.fromkeys(record.path for record in self.records if record.type == "step.completed"))
        return ", ".join(map(repr, steps[:_SHOWN])) + (" …" if len(steps) > _SHOWN else "")

    def _near(self, step: str) -> list[str]:
        import difflib  # lazy: 4 ms, only on the way to an error

        known = list(dict.fromkeys(record.path for record in self.records if record.path))
        if len(known) <= _SHOWN:
            return known
        return difflib.get_close_matches(step, known, n=_SHOWN, cutoff=0.4) or known[:_SHOWN]


def lies_in(path: str, step: str) -> bool:
    """Whether ``path`` is the step, or something inside it: an item, an action, a branch, a durable call."""
    return path.startswith(step) and path[len(step) : len(step) + 1] in ("", "/", "!", "[")


async def _end(runs: Runs, plan: _Plan, by: str) -> None:
    """End a stuck run whose work goes on in another one; raises :class:`RunBusy` when somebody has taken it."""
    last = plan.records[-1]
    history = runs.history(plan.run_id, epoch=last.epoch + 1)
    await history.load(plan.records)
    payload: dict[str, JSON] = {"status": "cancelled", "cause": "retried", "by": by}
    try:
        await history.commit([("run.ended", "", payload, "", 0)])
    except Fenced as error:
        raise RunBusy(plan.run_id, "that has just taken it") from error
