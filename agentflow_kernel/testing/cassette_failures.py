"""A cassette failure: a test and its recording disagree; a failed assertion, never taken for an error of a peer.

::

    AssertionError
    └── CassetteFailure
        ├── CassetteMiss        a call that no unplayed recorded call answers
        ├── CassetteStale       what was recorded has changed since, or is too old
        └── CassetteUnplayed    recorded calls that were never made
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from agentflow_kernel.contracts.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from agentflow_kernel.contracts.values import JSON

RECORD_ANEW = "If the change is meant, record anew: set AGENTFLOW_CASSETTE=record and run the test with the real thing."
SHOWN_DIFFERENCES = 12
_WIDTH = 160
"""Characters of a value that a message shows."""


class _Nothing:
    def __repr__(self) -> str:
        return "(nothing)"


NOTHING: Final = _Nothing()
"""Stands in a difference for a value that is not there."""


class Difference(Value):
    """One place where a recorded document and another differ; ``NOTHING`` where one of them has no such place."""

    __slots__ = ("path", "recorded", "asked")

    def __init__(self, path: str, recorded: JSON | _Nothing, asked: JSON | _Nothing) -> None:
        self.path = path
        self.recorded = recorded
        self.asked = asked

    def __str__(self) -> str:
        recorded, asked = _excerpts(self.recorded, self.asked)
        return f"  {self.path or '(all of it)'}\n    recorded: {recorded}\n    asked:    {asked}"


def differences(recorded: JSON, asked: JSON, path: str = "") -> Iterator[Difference]:
    """Every place where the two differ, in the order of the recorded one; the order of fields does not count."""
    if isinstance(recorded, dict) and isinstance(asked, dict):
        for name in [*recorded, *(name for name in asked if name not in recorded)]:
            place = f"{path}.{name}" if path else name
            yield from _children(recorded.get(name, NOTHING), asked.get(name, NOTHING), place)
    elif isinstance(recorded, list) and isinstance(asked, list):
        for index in range(max(len(recorded), len(asked))):
            left = recorded[index] if index < len(recorded) else NOTHING
            yield from _children(left, asked[index] if index < len(asked) else NOTHING, f"{path}[{index}]")
    elif _written(recorded) != _written(asked):  # as they are written: 1, 1.0 and true are three values
        yield Difference(path, recorded, asked)


def _children(recorded: JSON | _Nothing, asked: JSON | _Nothing, path: str) -> Iterator[Difference]:
    if isinstance(recorded, _Nothing) or isinstance(asked, _Nothing):
        yield Difference(path, recorded, asked)
    else:
        yield from differences(recorded, asked, path)


def _excerpts(recorded: JSON | _Nothing, asked: JSON | _Nothing) -> tuple[str, str]:
    """Both values as JSON; of long texts the part where they begin to differ."""
    left, right = _written(recorded), _written(asked)
    start = 0
    if len(left) > _WIDTH or len(right) > _WIDTH:
        pairs = zip(left, right, strict=False)
        same = next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(left), len(right)))
        start = max(same - _WIDTH // 3, 0)
    return _cut(left, start), _cut(right, start)


def _written(value: JSON | _Nothing) -> str:
    return repr(value) if isinstance(value, _Nothing) else json.dumps(value, ensure_ascii=False)


def _cut(text: str, start: int) -> str:
    end = start + _WIDTH
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _listed(found: Sequence[Difference]) -> str:
    lines = [str(difference) for difference in found[:SHOWN_DIFFERENCES]]
    if len(found) > SHOWN_DIFFERENCES:
        lines.append(f"  and {len(found) - SHOWN_DIFFERENCES} more")
    return "\n".join(lines)


class CassetteFailure(AssertionError):
    """Base of what a cassette has to say against a test.

    The cassette remembers the first one: all later calls raise it again, and so does the end of the ``with`` block,
    whatever the code between has made of it.
    """

    def again(self) -> Self:
        """The same failure, to be raised at another place."""
        copy = type(self).__new__(type(self))
        copy.args = self.args
        copy.__dict__.update(self.__dict__)
        return copy


class CassetteMiss(CassetteFailure):
    """No unplayed recorded call answers this one; ``differences`` are those from the nearest, the ``nearest``-th call.

    ``nearest`` counts from 1 and is ``None`` when nothing comparable is left.
    """

    def __init__(
        self, path: str, call: str, why: str, *, nearest: int | None = None, found: Sequence[Difference] = ()
    ) -> None:
        text = f"Cassette {path!r} has no answer for {call}: {why}"
        super().__init__("\n".join(part for part in (text, _listed(found), RECORD_ANEW) if part))
        self.path, self.call, self.nearest, self.differences = path, call, nearest, tuple(found)


class CassetteStale(CassetteFailure):
    """What was recorded is not what is there now; ``what`` names the toolset, provider or age."""

    def __init__(self, path: str, what: str, problem: str, found: Sequence[Difference] = ()) -> None:
        text = f"Cassette {path!r} is stale: {what} {problem}"
        super().__init__("\n".join(part for part in (text, _listed(found), RECORD_ANEW) if part))
        self.path, self.what, self.differences = path, what, tuple(found)


class CassetteUnplayed(CassetteFailure):
    """Recorded calls that were not made; ``calls`` describes them in the order of recording."""

    def __init__(self, path: str, calls: Sequence[str]) -> None:
        shown = [f"  {call}" for call in calls[:SHOWN_DIFFERENCES]]
        if len(calls) > SHOWN_DIFFERENCES:
            shown.append(f"  and {len(calls) - SHOWN_DIFFERENCES} more")
        count = "1 recorded call was" if len(calls) == 1 else f"{len(calls)} recorded calls were"
        super().__init__("\n".join([f"Cassette {path!r}: {count} not made.", *shown, RECORD_ANEW]))
        self.path, self.calls = path, tuple(calls)
