"""The operations of a kernel: what people on call do with runs that have stopped; the public side of them."""

from __future__ import annotations

from agentflow_kernel.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from agentflow_kernel.contracts.journal import RunInfo
    from agentflow_kernel.kernel.pruning import Pruned
    from agentflow_kernel.kernel.recovery import Recovery
    from agentflow_kernel.kernel.runs import Runs
    from agentflow_kernel.run.handle import RunHandle

SAME = object()
"""Stands for the input of the run that is forked."""


class RunOperations:
    """The part of a :class:`Kernel` that few programs call; each operation is loaded when it is first used."""

    __slots__ = ()

    _runs: Runs | None

    @property
    def _open(self) -> Runs:
        if self._runs is None:
            raise UsageError("The kernel is not open. Use `async with kernel:` round this call.")
        return self._runs

    async def recover(
        self,
        run_ids: Sequence[str] | None = None,
        *,
        per_s: float = 100.0,
        priority: Callable[[RunInfo], float] | None = None,
        accept_environment: bool = False,
    ) -> Recovery:
        """Resume all runs that nobody works on, or those of ``run_ids``; returns when the last one is at work.

        First the histories are verified. Then runs with overdue timers are resumed, in the order of their deadlines,
        then the others: those with the lowest ``priority`` first, the oldest first among equals. At most ``per_s``
        are resumed a second, so that new work has its turn. A run that cannot be resumed does not stop the others:
        the result counts it, and the log says why. Runs that are stuck or quarantined are left to a person.
        Raises :class:`StorageUnavailable` when the journal cannot be read or written. Cancelling leaves the runs that
        were resumed at work.
        """
        from agentflow_kernel.kernel.recovery import recover  # only kernels that recover pay

        return await recover(self._open, run_ids, per_s=per_s, priority=priority, accept_environment=accept_environment)

    async def retry(self, run_id: str, step: str | None = None, *, by: str = "") -> RunHandle:
        """Go on with a failed, cancelled or stuck run as a new run; returns when that is durable.

        What is completed on record is not executed again; with ``step``, a path as ``describe run`` shows it, the
        history is taken over up to that step, and everything from there on is executed anew. The new run has keys of
        its own, so what is executed again has a new idempotency key. A stuck run is ended by this (``cancelled``).
        ``by`` is whoever wants it, for the record.
        Raises :class:`UnknownRun`, :class:`UnknownName` with the nearest steps, and :class:`UsageError` for a run that
        is completed or can be resumed, or where an effect was begun of which nobody knows whether it happened.
        """
        from agentflow_kernel.kernel.forking import retry  # only kernels that do it pay

        return await retry(self._open, run_id, step, by)

    async def fork(self, run_id: str, step: str | None = None, *, value: object = SAME, by: str = "") -> RunHandle:
        """Make a copy of any run that goes on by itself, from ``step`` or from where the run stands now.

        With ``value`` the copy has another input: then without ``step`` it begins anew, and with it what is on record
        before the step stands as it is. The first run is not touched. Otherwise as :meth:`retry`.
        """
        from agentflow_kernel.kernel.forking import fork  # only kernels that do it pay

        return await fork(self._open, run_id, step, value, by)

    async def prune(
        self,
        older_than_s: float,
        *,
        statuses: Collection[str] = ("completed", "failed", "cancelled"),
        dry_run: bool = False,
    ) -> Pruned:
        """Delete the runs that ended more than ``older_than_s`` seconds ago, with their records, payloads and files.

        A run that has not ended is never deleted. It is done in small transactions, beside the runs at work. Payloads
        stored apart go when no run names them and an hour has passed; while a run is running or waiting, only those
        that were stored before it began. With ``dry_run`` nothing is deleted, and payloads are not counted.
        A key may be used anew when its run is gone: keep runs longer than anybody delivers an event or request again.
        Raises :class:`UsageError` for a status that is no end, :class:`Unsupported` where the journal cannot delete,
        :class:`StorageUnavailable`. Cancelled, what was deleted until then is gone.
        """
        from agentflow_kernel.kernel.pruning import prune  # only kernels that do it pay

        return await prune(self._open, older_than_s, statuses, dry_run=dry_run)

    async def compact(self, run_id: str, *, dry_run: bool = False) -> int:
        """Delete what a run has on record before its last snapshot, and return how many records that is.

        The first record, which has the input, stays. The run goes on as before, whoever works on it; it cannot be
        retried or forked from a step before the snapshot any more. Payloads stored apart go with :meth:`prune`. With
        ``dry_run`` nothing is deleted. A run without a snapshot stays as it is.
        Raises :class:`UnknownRun`, :class:`RunBusy` when the run is just being taken over, :class:`Unsupported` where
        the journal cannot do it, :class:`CorruptRecord`, :class:`StorageUnavailable`.
        """
        from agentflow_kernel.kernel.compacting import compact  # only kernels that do it pay

        return await compact(self._open, run_id, dry_run=dry_run)
