"""A progress event: one thing that happened in a run, told to listeners while it works."""

from __future__ import annotations

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Listener = Callable[["Progress"], None]


class Progress(Value):
    """``name`` is ``<noun>.<past participle>``; ``seq`` orders all events of a run; ``ts`` is wall time."""

    __slots__ = ("name", "run_id", "seq", "path", "ts", "fields")

    def __init__(self, name: str, run_id: str, seq: int, path: str, ts: float, fields: Mapping[str, object]) -> None:
        self.name = name
        self.run_id = run_id
        self.seq = seq
        self.path = path
        self.ts = ts
        self.fields = fields
