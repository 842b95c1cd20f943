"""A sum: the tallies of all batches as one, and of a log that is followed those of all chunks so far."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from heapq import nsmallest
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NotRequired, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow_kernel import Context
    from agentflow_kernel.contracts.values import JSON

SAMPLES: Final = 5
"""Line numbers and users kept as evidence."""

TEMPLATES: Final = 64
"""How many templates of one burst are told apart, the most frequent ones; of the others only the lines are counted."""

PIECES: Final = 32
"""Chunks are kept one by one until there are so many; then they are folded into one piece."""

FOLD_CHARS: Final = 1 << 17
"""How much of error lines, as text, is folded at a time."""

ALL: Final = 1_000_000
"""A limit for a list of everything."""

Point = tuple[int, int, str]
"""Microseconds, line number, and the template; none for a line whose template is counted in its burst already."""


class Rule(TypedDict):
    """What a burst is: at least ``lines`` error lines in succession within ``within_s`` seconds.

    Of lines that are in no burst the latest ``keep_lines`` are remembered, of bursts the latest ``keep_bursts``.
    """

    lines: int
    within_s: float
    keep_lines: int
    keep_bursts: int


class Burst(TypedDict):
    """Error lines in close succession.

    ``head`` and ``tail`` have the first and last lines by time, one fewer each than make a burst: no other line can
    come close enough to one between them without lying between them itself. ``others`` counts further templates.
    """

    lines: int
    head: str
    tail: str
    templates: list[list[Any]]
    others: int


class Errors(TypedDict):
    """Error lines. ``points`` are those in no burst; ``horizon`` is how far, by time, lines have been forgotten.

    ``late`` counts lines that came so late that one forgotten may have belonged to them; ``older_bursts`` and
    ``older_lines`` count what was forgotten of bursts.
    """

    templates: list[str]
    points: str
    zoned: bool
    bursts: NotRequired[list[Burst]]
    older_bursts: NotRequired[int]
    older_lines: NotRequired[int]
    horizon: NotRequired[int | None]
    late: NotRequired[int]


class Tally(TypedDict):
    """What lines say, as ``parsing.py`` tells it of a batch."""

    lines: int
    sshd_lines: int
    long_lines: int
    levelled_lines: int
    error_lines: int
    addresses: list[dict[str, Any]]
    errors: Errors


class Chunk(TypedDict):
    """Which piece of a followed log this is, as ``cutting.py`` tells it; ``start`` and ``end`` count bytes or lines."""

    state: str
    start: int
    end: int
    first_line: int
    ends: bool


class Order(TypedDict):
    """What ``total`` is asked: the log, its batches' tallies, and what a burst is."""

    cut: dict[str, Any]
    tallies: list[Tally]
    burst: Rule


class Piece(TypedDict):
    """A stretch of a followed log."""

    start: int
    end: int
    first_line: int
    last_line: int
    size_bytes: int
    tally: Tally


class Total(TypedDict):
    """The log so far.

    ``touched`` are the addresses that this chunk speaks of, ``news`` says of each burst whether this chunk made it
    ``new`` or ``grown`` (else it is empty); of a whole log everything is new. ``gaps`` are lines not here yet.
    """

    tally: Tally
    size_bytes: int
    touched: list[str]
    news: list[str]
    gaps: list[list[int]]


class Span(NamedTuple):
    """Where a burst lies among the points: the keys of its first and last line."""

    first: tuple[int, int]
    last: tuple[int, int]
    burst: Burst


async def total(order: Order, ctx: Context) -> Total:
    """All tallies as one.

    A chunk's tally is remembered under the chunk's own place, and the sum is made anew of all that is there: chunks
    may come in any order, several at a time, and more than once.
    """
    cut, rule = order["cut"], checked(order["burst"])
    own = folded(order["tallies"], rule)
    chunk: Chunk | None = cut.get("chunk")
    if chunk is None:
        bursts = own["errors"].get("bursts", [])
        touched = [each["address"] for each in own["addresses"]]
        return {
            "tally": own,
            "size_bytes": cut["size_bytes"],
            "touched": touched,
            "news": ["new"] * len(bursts),
            "gaps": [],
        }
    memory = ctx.memory("followed")
    prefix = f"{chunk['state']}/{rule['lines']}-{rule['within_s']:g}/"
    mine: Piece = {
        "start": chunk["start"],
        "end": chunk["end"],
        "first_line": chunk["first_line"],
        "last_line": chunk["first_line"] + own["lines"] - 1,
        "size_bytes": cut["size_bytes"],
        "tally": own,
    }
    await memory.put(key_of(prefix, mine), cast("JSON", mine))
    entries = await memory.list(prefix, limit=ALL)
    pieces = cover([cast("Piece", entry.value) for entry in entries])
    others = [piece for piece in pieces if not piece["start"] <= mine["start"] < piece["end"]]
    everything = folded([piece["tally"] for piece in pieces], rule)
    before = folded_errors([piece["tally"]["errors"] for piece in others if own["error_lines"]], rule)
    await compact([entry.key for entry in entries], pieces, rule, prefix, ctx)
    return {
        "tally": everything,
        "size_bytes": sum(piece["size_bytes"] for piece in pieces),
        "touched": [each["address"] for each in own["addresses"]],
        "news": news(everything["errors"], before, own["errors"]),
        "gaps": gaps(pieces),
    }


def checked(rule: Rule) -> Rule:
    """The rule, if it is one; raises :class:`ValueError` for fewer than two lines or no time."""
    if rule["lines"] < 2 or rule["within_s"] < 0 or min(rule["keep_lines"], rule["keep_bursts"]) < 1:
        raise ValueError(f"A burst has at least 2 lines within 0 seconds or more, and 1 is kept; this is {rule!r}.")
    return rule


# pieces of a followed log


def key_of(prefix: str, piece: Piece) -> str:
    """The key under which a piece is remembered, in the order of the log."""
    return f"{prefix}{piece['start']:015d}-{piece['end']:015d}"


def cover(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces in order, without those that lie within a longer one."""
    found: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: (piece["start"], -piece["end"])):
        if not found or piece["start"] >= found[-1]["end"]:
            found.append(piece)
    return found


def gaps(pieces: Sequence[Piece]) -> list[list[int]]:
    """First and last line of what is missing between the pieces."""
    found = [[one["last_line"] + 1, next_["first_line"] - 1] for one, next_ in pairwise(pieces)]
    return [[first, last] for first, last in found if first <= last]


async def compact(keys: Sequence[str], pieces: Sequence[Piece], rule: Rule, prefix: str, ctx: Context) -> None:
    """Fold the pieces from the log's beginning into one when there are many, and forget what longer ones hold.

    Only pieces without a gap from the very beginning are folded: of two runs that do it at a time one then holds all
    that the other does. A piece is forgotten after one that holds it has been remembered, never before.
    """
    memory = ctx.memory("followed")
    kept = {key_of(prefix, piece) for piece in pieces}
    head: list[Piece] = []
    for piece in pieces:
        if piece["start"] == (head[-1]["end"] if head else 0):
            head.append(piece)
    if len(head) > PIECES:
        whole: Piece = {
            "start": 0,
            "end": head[-1]["end"],
            "first_line": head[0]["first_line"],
            "last_line": head[-1]["last_line"],
            "size_bytes": sum(piece["size_bytes"] for piece in head),
            "tally": folded([piece["tally"] for piece in head], rule),
        }
        await memory.put(key_of(prefix, whole), cast("JSON", whole))
        kept -= {key_of(prefix, piece) for piece in head}
    for key in keys:
        if key not in kept:
            await memory.delete(key)


def news(errors: Errors, before: Errors, own: Errors) -> list[str]:
    """What became of each burst by one's own error lines: ``new``, ``grown`` or nothing."""
    mine = sorted(point[:2] for point in points_of(own))
    known = sorted(span.first for span in spans_of(before))
    found = []
    for span in spans_of(errors):
        if not holds(mine, span):
            found.append("")
        else:
            found.append("grown" if holds(known, span) else "new")
    return found


def holds(keys: Sequence[tuple[int, int]], span: Span) -> bool:
    """Whether one of the sorted keys lies in the span."""
    index = bisect_left(keys, span.first)
    return index < len(keys) and keys[index] <= span.last


# tallies as one


def folded(tallies: Sequence[Tally], rule: Rule) -> Tally:
    """One tally of several, which come in the order of the log; it does not depend on how the log was cut."""
    by_address: dict[str, dict[str, Any]] = {}
    for tally in tallies:
        for seen in tally["addresses"]:
            known = by_address.get(seen["address"])
            by_address[seen["address"]] = seen if known is None else joined(known, seen)
    return {
        "lines": sum(tally["lines"] for tally in tallies),
        "sshd_lines": sum(tally["sshd_lines"] for tally in tallies),
        "long_lines": sum(tally["long_lines"] for tally in tallies),
        "levelled_lines": sum(tally["levelled_lines"] for tally in tallies),
        "error_lines": sum(tally["error_lines"] for tally in tallies),
        "addresses": list(by_address.values()),
        "errors": folded_errors([tally["errors"] for tally in tallies], rule),
    }


def folded_errors(parts: Sequence[Errors], rule: Rule) -> Errors:
    """The error lines of any number of parts, a few at a time, so that memory stays flat."""
    waiting: list[Errors] = []
    chars = 0
    for part in parts:
        waiting.append(part)
        chars += len(part["points"])
        if chars > FOLD_CHARS:
            waiting, chars = [fold(waiting, rule)], 0
    return fold(waiting, rule)


def joined(one: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """An address in two stretches of the log, the later one second; logins are late from the first failure on."""
    failed = bool(one["failed_passwords"])
    early = one["early"] if failed else admitted(one["early"], more["early"])
    late = admitted(admitted(one["late"], more["early"]), more["late"]) if failed else more["late"]
    return {
        "address": one["address"],
        "failed_passwords": one["failed_passwords"] + more["failed_passwords"],
        "users": list(dict.fromkeys([*one["users"], *more["users"]])),
        "first": one["first"] or more["first"],
        "last": more["last"] or one["last"],
        "lines": [*one["lines"], *more["lines"]][:SAMPLES],
        "early": early,
        "late": late,
    }


def admitted(logins: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Earlier logins and later ones."""
    return {
        "count": logins["count"] + more["count"],
        "users": list(dict.fromkeys([*logins["users"], *more["users"]]))[:SAMPLES],
        "lines": [*logins["lines"], *more["lines"]][:SAMPLES],
    }


# error lines and bursts


def fold(parts: Sequence[Errors], rule: Rule) -> Errors:
    """The error lines of several parts as one, with the bursts that they make together, in the order of time.

    More lines never break a burst up, they only make it grow: whatever the order in which parts are folded, the
    result is the same, as long as no line comes later than the horizon.
    """
    points = sorted(point for part in parts for point in points_of(part))
    spans = sorted((span for part in parts for span in spans_of(part)), key=lambda span: span.first)
    bursts: list[Burst] = []
    alone: list[Point] = []
    end, next_span = 0, 0
    for first, last in stretches(points, spans, rule):
        alone += points[end:first]
        end = last + 1
        inner = []
        while next_span < len(spans) and spans[next_span].first <= points[last][:2]:
            inner.append(spans[next_span].burst)
            next_span += 1
        bursts.append(burst_of(points[first:end], inner, rule["lines"] - 1))
    alone += points[end:]
    return forgetful(parts, alone, bursts, rule)


def stretches(points: Sequence[Point], spans: Sequence[Span], rule: Rule) -> Iterable[tuple[int, int]]:
    """First and last index of each burst: windows and known bursts which share a line are one."""
    size, width = rule["lines"] - 1, round(rule["within_s"] * 1_000_000)
    found = [(bisect_left(points, (*span.first, "")), bisect_left(points, (*span.last, ""))) for span in spans]
    found += [(i, i + size) for i in range(len(points) - size) if points[i + size][0] - points[i][0] <= width]
    found.sort()
    merged: list[tuple[int, int]] = []
    for first, last in found:
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def burst_of(points: Sequence[Point], inner: Sequence[Burst], edge: int) -> Burst:
    """One burst of its known lines and the smaller bursts among them."""
    counts = Counter(template for _, _, template in points if template)
    single = counts.total()
    for burst in inner:
        for template, count in burst["templates"]:
            counts[template] += count
    top = nsmallest(TEMPLATES, counts.items(), key=lambda item: (-item[1], item[0]))
    others = counts.total() - sum(count for _, count in top) + sum(burst["others"] for burst in inner)
    return {
        "lines": single + sum(burst["lines"] for burst in inner),
        "head": written(points[:edge]),
        "tail": written(points[edge:][-edge:]),
        "templates": [[template, count] for template, count in top],
        "others": others,
    }


def forgetful(parts: Sequence[Errors], alone: list[Point], bursts: list[Burst], rule: Rule) -> Errors:
    """What is kept of lines and bursts: the latest ones; and where the horizon then is."""
    older, bursts = bursts[: -rule["keep_bursts"]], bursts[-rule["keep_bursts"] :]
    forgotten, alone = alone[: -rule["keep_lines"]], alone[-rule["keep_lines"] :]
    horizons = [horizon for part in parts if (horizon := part.get("horizon")) is not None]
    known = max(horizons, default=None)
    late = sum(part.get("late", 0) for part in parts)
    if known is not None:
        reach = known + round(rule["within_s"] * 1_000_000)
        fresh = [part for part in parts if part.get("horizon") is None]
        late += sum(point[0] <= reach for part in fresh for point in points_of(part))
    gone = [*horizons, *(point[0] for point in forgotten[-1:]), *(read(burst["tail"])[-1][0] for burst in older[-1:])]
    templates: dict[str, int] = {}
    texts = [templates.setdefault(template, len(templates)) for _, _, template in alone]
    return {
        "templates": list(templates),
        "points": " ".join(f"{moment}:{line}:{text}" for (moment, line, _), text in zip(alone, texts, strict=True)),
        "zoned": any(part["zoned"] for part in parts),
        "bursts": bursts,
        "older_bursts": sum(part.get("older_bursts", 0) for part in parts) + len(older),
        "older_lines": sum(part.get("older_lines", 0) for part in parts) + sum(burst["lines"] for burst in older),
        "horizon": max(gone, default=None),
        "late": late,
    }


def points_of(errors: Errors) -> Iterable[Point]:
    """All lines known one by one, those at the edges of bursts without their template."""
    templates = errors["templates"]
    for text in errors["points"].split():
        moment, line, template = text.split(":")
        yield int(moment), int(line), templates[int(template)]
    for burst in errors.get("bursts", ()):
        for moment_, line_ in (*read(burst["head"]), *read(burst["tail"])):
            yield moment_, line_, ""


def spans_of(errors: Errors) -> list[Span]:
    """Where the bursts lie."""
    return [Span(read(burst["head"])[0], read(burst["tail"])[-1], burst) for burst in errors.get("bursts", ())]


def written(points: Iterable[Point]) -> str:
    """Moments and lines as text."""
    return " ".join(f"{moment}:{line}" for moment, line, _ in points)


def read(text: str) -> list[tuple[int, int]]:
    """Moments and lines from their text."""
    pairs = (each.partition(":") for each in text.split())
    return [(int(moment), int(line)) for moment, _, line in pairs]
