"""A verdict: what a person has decided about a run that is stuck, on record together with the lease of who goes on."""

from __future__ import annotations

from agentflow_kernel.errors import UnknownName, UsageError, nearest
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.history import ACCEPTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.history import History, Line

    Outcome = Literal["done", "retry", "fail"]

OUTCOMES = ("done", "retry", "fail")


class Verdict:
    """``accept``: what is on record stands, although the code now gives those steps other inputs.

    ``decide`` says of effects with an unknown outcome, by path, whether they are ``done`` (with the result of that path
    in ``results``, else ``None``), are to be done again (``retry``, with the same idempotency key) or count as failed
    (``fail``). ``by`` is whoever decided.
    """

    __slots__ = ("accept", "decide", "results", "by")

    def __init__(
        self,
        *,
        accept: bool = False,
        decide: Mapping[str, Outcome] | None = None,
        results: Mapping[str, object] | None = None,
        by: str = "",
    ) -> None:
        self.accept = accept
        self.decide = decide or {}
        self.results = results or {}
        self.by = by
        for path, outcome in self.decide.items():
            if outcome not in OUTCOMES:
                close = nearest(outcome, OUTCOMES)
                hint = f" Did you mean {close!r}?" if close else ""
                raise UsageError(f"Step {path!r} cannot be decided as {outcome!r}: expected done, retry or fail.{hint}")
        for path in self.results:
            if self.decide.get(path) != "done":
                raise UsageError(f"A result was given for step {path!r}, which is not decided as done.")

    def lines(self, history: History) -> list[Line]:
        """What goes on record behind the lease.

        A step that is decided as done is undone like any other if the run fails.
        Raises :class:`UnknownName` for a step that was not begun, or whose outcome is known.
        """
        open_effects = [path for path in history.intents if path not in history.done]
        lines: list[Line] = []
        for path, outcome in self.decide.items():
            if path not in open_effects:
                raise UnknownName(f"step of run {history.run_id} whose outcome is unknown", path, open_effects)
            told: dict[str, JSON] = {"decided": outcome, "by": self.by}
            if outcome == "done":
                undo = history.intents[path]
                if undo is not None:
                    told["undo"] = undo
                payload, text = to_json({"result": self.results.get(path), **told}, path)
                lines.append(("step.completed", path, payload, ACCEPTED, len(text)))
            else:
                lines.append(("step.failed", path, {"code": "AF-OUTCOME-UNKNOWN", **told}, "", 0))
        return lines

    def lease(self) -> dict[str, JSON]:
        """What the lease says of it."""
        said: dict[str, JSON] = {"accepted": True} if self.accept else {}
        if said or self.decide:
            said["by"] = self.by
        return said


NONE = Verdict()
"""Nobody has decided anything."""
