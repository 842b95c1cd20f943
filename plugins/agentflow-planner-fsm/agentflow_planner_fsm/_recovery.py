"""A recovery: what the errors of an invocation lead to, another attempt after a wait or a way out of the state.

Words, bounds and defaults of a retry are those of the policy `retry`; that the first entry decides, and that each entry
counts for itself, is as in the Amazon States Language (``Retry``, ``Catch``).
"""

from __future__ import annotations

import math

from agentflow_planner_fsm._reading import DUPLICATE, SCHEMA, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, Literal

    from agentflow_planner_fsm._reading import Reading, Where

    Errors = frozenset[str] | None
    """The codes that an entry is for; ``None`` for all."""

ALL = "*"
_SECOND = 1_000_000
_MOST_ATTEMPTS = 100
_MOST_FACTOR = 10
_LONGEST_S = 100 * 366 * 86_400
_RETRY = ("errors", "attempts", "base_s", "factor", "max_s", "jitter")
_CATCH = ("errors", "target", "do", "internal", "description")


class Retry:
    """One entry: for which errors, how often, and the waits in between; times in microseconds."""

    __slots__ = ("errors", "attempts", "base", "factor", "longest", "draws")

    def __init__(self, errors: Errors) -> None:
        self.errors = errors
        self.attempts = 3
        """How many attempts may end with an error of this entry, the first one included."""
        self.base = _SECOND // 2
        self.factor = 2.0
        self.longest = 30 * _SECOND
        self.draws = True
        """Whether a wait is drawn between nothing and its bound."""

    def wait(self, failures: int, seed: str) -> int:
        """How long to wait after so many errors of this entry; the same for the same seed."""
        bound = round(min(self.longest, self.base * self.factor ** (failures - 1)))
        if not self.draws or not bound:
            return bound
        from hashlib import sha256  # lazy: only where something has failed

        return bound * int.from_bytes(sha256(seed.encode("utf-8", "replace")).digest()[:8]) >> 64


class Catch:
    """One entry: for which errors, and the transition that they lead to, as the document has it."""

    __slots__ = ("errors", "fields", "where")

    def __init__(self, errors: Errors, fields: Mapping[str, Any], where: Where) -> None:
        self.errors = errors
        self.fields = fields
        self.where = where


class Attempts:
    """What an invocation that has failed remembers: its first action, how often it began, errors by entry."""

    __slots__ = ("first", "begun", "failures")

    def __init__(self, first: str) -> None:
        self.first = first
        self.begun = 1
        self.failures: dict[int, int] = {}

    def wait_after(self, error: Any, retries: Sequence[Retry], seed: str) -> int | None:
        """The wait before the next attempt in microseconds; ``None`` where no entry wants one any more."""
        code = told_of(error, "code")
        for at, retry in enumerate(retries):
            if retry.errors is None or code in retry.errors:
                count = self.failures[at] = self.failures.get(at, 0) + 1
                return retry.wait(count, f"{seed} {self.first} {self.begun}") if count < retry.attempts else None
        return None

    def begin(self) -> str:
        """The id of the next action: that of the first one with the number of the attempt."""
        self.begun += 1
        return f"{self.first}.{self.begun}"

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        failures = {str(at): count for at, count in self.failures.items()}
        return {"first": self.first, "begun": self.begun, "failures": failures}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Attempts:
        """What :meth:`to_json` wrote."""
        attempts = cls(document["first"])
        attempts.begun = document["begun"]
        attempts.failures = {int(at): count for at, count in document["failures"].items()}
        return attempts


def told_of(error: Any, key: Literal["code", "message"]) -> str:
    """What the data of an error tell; ``""`` where they do not."""
    text = error.get(key) if isinstance(error, dict) else None
    return text if isinstance(text, str) else ""


def read_retries(reading: Reading, value: Any, where: Where) -> tuple[Retry, ...]:
    """The entries of ``retry``: a list of them, or one."""
    found = []
    for fields, place, errors in _entries(reading, value, where, _RETRY, "an entry of 'retry'"):
        retry = Retry(errors)
        found.append(retry)
        number = _numbers(reading, fields, place)
        retry.attempts = int(number("attempts", retry.attempts, 1, _MOST_ATTEMPTS))
        retry.factor = number("factor", retry.factor, 1, _MOST_FACTOR)
        base_s = number("base_s", retry.base / _SECOND, 0, _LONGEST_S)
        longest_s = number("max_s", max(base_s, retry.longest / _SECOND), 0, _LONGEST_S)
        if longest_s < base_s:
            text = f"'max_s' must be at least 'base_s', {base_s:g}, not {longest_s:g}."
            reading.find(SCHEMA, text, *place, "max_s")
        retry.base, retry.longest = round(base_s * _SECOND), round(longest_s * _SECOND)
        jitter = fields.get("jitter", "full")
        if jitter not in ("full", "none"):
            reading.find(SCHEMA, f"Expected full or none for 'jitter', not {shown(jitter)}.", *place, "jitter")
        retry.draws = jitter != "none"
    return tuple(found)


def read_catches(reading: Reading, value: Any, where: Where) -> tuple[Catch, ...]:
    """The entries of ``catch``: a list of them, or one; targets and content are read with the transitions."""
    found = []
    for fields, place, errors in _entries(reading, value, where, _CATCH, "an entry of 'catch'"):
        if fields.get("target") is None:
            hint = "Name the state that these errors lead to."
            reading.find(SCHEMA, "An entry of 'catch' needs a 'target'.", *place, suggestion=hint)
        found.append(Catch(errors, fields, place))
    return tuple(found)


def _entries(
    reading: Reading, value: Any, where: Where, keys: Sequence[str], what: str
) -> Iterator[tuple[Mapping[str, Any], Where, Errors]]:
    """The entries with the errors of each; what can never decide is noted."""
    known: set[str] = set()
    items = value if isinstance(value, list) else [value]
    for at, item in enumerate(items):
        place: Where = (*where, at) if isinstance(value, list) else where
        fields = reading.fields(item, keys, place, what)
        faults = len(reading.findings)
        codes = reading.names_in(fields.get("errors", ALL), (*place, "errors"), "'errors'")
        spot = (*place, "errors") if "errors" in fields else place
        if not codes and len(reading.findings) == faults:
            text = "An entry is for one error or more: codes such as AF-PEER-UNAVAILABLE, or '*' for all."
            reading.find(SCHEMA, text, *spot)
        if ALL in codes and len(codes) > 1:
            hint = "Without 'errors', or with '*' alone, it is for all."
            reading.find(SCHEMA, "'*' stands alone: it is for all errors.", *spot, suggestion=hint)
        elif ALL in codes and at < len(items) - 1:
            hint = "Put it last."
            reading.find(SCHEMA, "After an entry for all errors no other one decides.", *spot, suggestion=hint)
        for code in codes:
            if code in known and code != ALL:
                reading.find(DUPLICATE, f"The error {code[:80]!r} is decided by an entry before.", *spot)
        known.update(codes)
        yield fields, place, None if ALL in codes else frozenset(codes)


def _numbers(reading: Reading, fields: Mapping[str, Any], where: Where) -> Callable[[str, float, float, float], float]:
    def number(key: str, default: float, low: float, high: float) -> float:
        value = fields.get(key, default)
        whole = key == "attempts"
        fits = isinstance(value, int) or (isinstance(value, float) and not whole and math.isfinite(value))
        if fits and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        kind = "a whole number" if whole else "seconds" if key.endswith("_s") else "a number"
        text = f"Expected {kind} from {low:g} to {high:,.0f} for {key!r}, not {shown(value)}."
        reading.find(SCHEMA, text, *where, key)
        return default

    return number
