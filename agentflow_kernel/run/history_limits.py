"""The limits of a history: when a snapshot is due, what becomes of the records before it, how long it may become."""

from __future__ import annotations

from agentflow_kernel.errors import BudgetExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.run.history import History

_ALWAYS = ("run.ended", "run.suspended", "snapshot", "lease", "signal.received", "cancel.requested")
"""Types of the records that a history over its limits still takes."""


class Limits:
    """All count from the last snapshot: records, and bytes of records with their payloads.

    At the first pair a snapshot is due; at the second, where none could be made meanwhile, the run fails. Half way
    there the log has a warning. With ``compact`` the records before a snapshot are deleted once it is on record, where
    the journal has the ability ``compacts``.
    """

    __slots__ = ("snapshot_records", "snapshot_bytes", "most_records", "most_bytes", "compact")

    def __init__(
        self,
        *,
        snapshot_records: int = 10_000,
        snapshot_bytes: int = 50 << 20,
        most_records: int = 200_000,
        most_bytes: int = 1 << 30,
        compact: bool = False,
    ) -> None:
        self.snapshot_records = snapshot_records
        self.snapshot_bytes = snapshot_bytes
        self.most_records = most_records
        self.most_bytes = most_bytes
        self.compact = compact

    @classmethod
    def of(cls, settings: Mapping[str, int]) -> Limits:
        """Those that ``[runs]`` of ``agentflow.toml`` names, and the defaults for the others."""
        limits = cls()
        limits.snapshot_records = settings.get("snapshot_records", limits.snapshot_records)
        limits.most_records = settings.get("max_records", limits.most_records)
        limits.snapshot_bytes = settings.get("snapshot_mib", limits.snapshot_bytes >> 20) << 20
        limits.most_bytes = settings.get("max_mib", limits.most_bytes >> 20) << 20
        limits.compact = bool(settings.get("compact", limits.compact))
        return limits

    def check(self, history: History, kind: str) -> None:
        """Look at a history that is due for a snapshot, before a record of this kind is appended.

        Raises :class:`BudgetExceeded` at the second limit; the end of the run can always be put on record.
        """
        records, size_bytes = history.records, history.size_bytes
        if not history.warned and (records * 2 >= self.most_records or size_bytes * 2 >= self.most_bytes):
            history.warned = True
            from agentflow_kernel.telemetry import get_logger  # only where something went wrong

            fields = {"records": records, "size_bytes": size_bytes, "limit": self.most_records}
            get_logger("agentflow.run").warning("run.history_long", run_id=history.run_id, **fields)
        if kind in _ALWAYS or (records < self.most_records and size_bytes < self.most_bytes):
            return
        over = records >= self.most_records
        name, limit = ("max_records", self.most_records) if over else ("max_mib", self.most_bytes >> 20)
        raise BudgetExceeded(
            name,
            limit,
            f"run {history.run_id} has {records} records since its last snapshot; one can be made between two nodes of "
            "its own flow only. Split the node that makes so many, or raise the limit in [runs] of agentflow.toml.",
        )


LIMITS = Limits()
"""Where nobody says anything else."""
