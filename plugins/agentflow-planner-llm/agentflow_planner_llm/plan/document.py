"""A plan: steps that depend on each other, with inputs, state and output, as data that can be stored and compared."""

from __future__ import annotations

import hashlib
import json
from json import encoder as _parts

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Literal

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.step import Step

    Form = Literal["graph", "linear"]

VERSION = 1
"""The form of plan documents; raised when a field changes its meaning."""


class StateKey(Value):
    """One key of a plan's state: its value before any step has written it, and how several writers are merged.

    ``reducer`` is ``last``, ``append``, ``add``, ``merge`` or ``max``; ``None`` allows no two concurrent writers.
    """

    __slots__ = ("initial", "reducer")

    def __init__(self, initial: JSON = None, reducer: str | None = None) -> None:
        self.initial = initial
        self.reducer = reducer


class PlanLimits(Value):
    """What a plan may use at worst, counted before it runs; ``None`` is no limit.

    ``parallel`` bounds what runs at once. ``steps`` counts each step as often as its loops may repeat it,
    ``depth`` is the longest chain of needs.
    """

    __slots__ = ("parallel", "steps", "depth", "usd", "seconds", "tokens", "model_calls")

    def __init__(self) -> None:
        self.parallel: int | None = None
        self.steps: int | None = None
        self.depth: int | None = None
        self.usd: float | None = None
        self.seconds: float | None = None
        self.tokens: int | None = None
        self.model_calls: int | None = None


class Plan(Value):
    """A plan as its document says it; ``source`` is the document. Two plans are the same if their hashes are.

    ``output`` is a template of the run's output, ``None`` for an object of the results that nobody uses.
    ``facts`` hold at the start, ``goals`` are to hold at the end.
    """

    __slots__ = (
        "goal", "form", "steps", "state", "output", "facts", "goals", "limits", "approval", "source", "positions",
        "_hash",
    )  # fmt: skip

    def __init__(self, source: Mapping[str, JSON]) -> None:
        """A plan without steps, of this document."""
        self.goal = ""
        self.form: Form = "graph"
        self.steps: Sequence[Step] = ()
        self.state: Mapping[str, StateKey] = {}
        self.output: JSON = None
        self.facts: Sequence[str] = ()
        self.goals: Sequence[str] = ()
        self.limits = PlanLimits()
        self.approval = False
        self.source = source
        self.positions: Sequence[int] = ()
        """Where each of the steps stands in the document, which may hold others that could not be read."""
        self._hash = ""

    @property
    def canonical(self) -> str:
        """The document as JSON text with sorted keys and no spaces: the same for the same plan, whoever wrote it."""
        return canonical(self.source)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, 64 hex digits."""
        if not self._hash:
            self._hash = hashlib.sha256(self.canonical.encode("utf-8", "surrogatepass")).hexdigest()
        return self._hash


def canonical(value: JSON) -> str:
    """JSON text in which equal values look equal: keys sorted, no spaces, whole numbers without a fraction."""
    text = _WRITE(value)
    return _WRITE(_whole(value)) if ".0" in text or "e+" in text else text


def _whole(value: JSON) -> JSON:
    """The value with 2.0 as 2, which JSON does not tell apart."""
    kind = value.__class__
    if kind is str or kind is int or value is None or kind is bool:
        return value
    if kind is dict:
        return {name: _whole(item) for name, item in value.items()}  # type: ignore[union-attr]
    if kind is list:
        return [_whole(item) for item in value]  # type: ignore[union-attr]
    if kind is float and value.is_integer():  # type: ignore[union-attr]
        return int(value)  # type: ignore[arg-type]
    return value


_PLAIN = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True, default=dict)


def _make_writer() -> Callable[[JSON], str]:
    """An encoder made once: the standard library makes one for each call, which costs more than a step's arguments."""
    make: Any = getattr(_parts, "c_make_encoder", None)
    if make is None:  # an interpreter without the C part
        return _PLAIN.encode
    chunks = make(None, _PLAIN.default, _parts.encode_basestring, None, ":", ",", True, False, True)
    join = "".join

    def write(value: JSON) -> str:
        return join(chunks(value, 0))

    return write


_WRITE = _make_writer()
