"""A layering: boxes of one level put into rows, so that edges lead downward and cross as little as is cheap to reach.

Source: Sugiyama, Tagawa, Toda, "Methods for visual understanding of hierarchical system structures" (1981): cycles are
broken, rows are longest paths, order in a row goes by barycentres. Everything is decided by the order given.
"""

from __future__ import annotations

from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Size = tuple[float, float]
    Pair = tuple[str, str]
    Point = tuple[float, float]

GAP_X, GAP_Y = 28.0, 46.0
_SWEEPS = 6
_MOST_BENDS = 20_000
"""With more rows to pass through in all, long edges go straight: bends for them would cost more than they show."""


class Layout:
    """Where everything stands: ``boxes`` have left and top, ``lines`` the bends of each edge, in the order given."""

    __slots__ = ("boxes", "lines", "width", "height")

    def __init__(self, boxes: dict[str, Point], lines: list[list[Point]], width: float, height: float) -> None:
        self.boxes = boxes
        self.lines = lines
        self.width = width
        self.height = height


def lay_out(sizes: Mapping[str, Size], edges: Sequence[Pair]) -> Layout:
    """The layout of boxes of these sizes; boxes without any edge between them stand in rows, as in a page."""
    proper = [(source, target) for source, target in edges if source != target]
    if not proper:
        boxes, width, height = _in_rows(sizes)
        return Layout(boxes, [[] for _ in edges], width, height)
    forward = _without_cycles(sizes, proper)
    rows, bends = _rows(sizes, forward)
    neighbours = _neighbours(forward, bends)
    _order(rows, neighbours)
    all_sizes = {**sizes, **{name: (8.0, 0.0) for names in bends for name in names}}
    middles, spans, width, height = _place(rows, all_sizes, neighbours)
    boxes = {
        name: (middles[name] - size[0] / 2, (spans[name][0] + spans[name][1] - size[1]) / 2)
        for name, size in sizes.items()
    }
    lines: list[list[Point]] = []
    queue = iter(zip(proper, forward, bends, strict=True))
    for source, target in edges:
        if source == target:
            lines.append([])
            continue
        given, taken, names = next(queue)
        points = [(middles[name], end) for name in names for end in spans[name]]
        lines.append(points if given == taken else points[::-1])
    return Layout(boxes, lines, width, height)


def _in_rows(sizes: Mapping[str, Size]) -> tuple[dict[str, Point], float, float]:
    """Boxes side by side, in rows of about the length of the page."""
    per_row = max(4, int((len(sizes) * 3) ** 0.5))
    boxes: dict[str, Point] = {}
    names = list(sizes)
    top = width = 0.0
    for start in range(0, len(names), per_row):
        left = tallest = 0.0
        for name in names[start : start + per_row]:
            boxes[name] = (left, top)
            left += sizes[name][0] + GAP_X
            tallest = max(tallest, sizes[name][1])
        width = max(width, left - GAP_X)
        top += tallest + GAP_X
    return boxes, width, max(0.0, top - GAP_X)


def _without_cycles(sizes: Mapping[str, Size], edges: Sequence[Pair]) -> list[Pair]:
    """The edges, with those turned round that lead back to where a walk in depth came from."""
    after: dict[str, list[str]] = {name: [] for name in sizes}
    for source, target in edges:
        after[source].append(target)
    state: dict[str, int] = {}
    back: set[Pair] = set()
    for root in sizes:
        if root in state:
            continue
        state[root] = 1
        way = [(root, iter(after[root]))]
        while way:
            name, rest = way[-1]
            target = next(rest, "")
            if not target:
                state[name] = 2
                way.pop()
            elif target not in state:
                state[target] = 1
                way.append((target, iter(after[target])))
            elif state[target] == 1:
                back.add((name, target))
    return [(target, source) if (source, target) in back else (source, target) for source, target in edges]


def _rows(sizes: Mapping[str, Size], edges: Sequence[Pair]) -> tuple[list[list[str]], list[list[str]]]:
    """The rows, and for each edge the names of its bends, which stand in the rows between its ends."""
    after: dict[str, list[str]] = {name: [] for name in sizes}
    before = dict.fromkeys(sizes, 0)
    for source, target in edges:
        after[source].append(target)
        before[target] += 1
    depth = dict.fromkeys(sizes, 0)
    ready = [name for name in sizes if not before[name]]
    for name in ready:  # it grows
        for target in after[name]:
            depth[target] = max(depth[target], depth[name] + 1)
            before[target] -= 1
            if not before[target]:
                ready.append(target)
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in sizes:
        rows[depth[name]].append(name)
    straight = sum(depth[target] - depth[source] - 1 for source, target in edges) > _MOST_BENDS
    bends: list[list[str]] = []
    for number, (source, target) in enumerate(edges):
        names = [] if straight else [f"\0{number}.{row}" for row in range(depth[source] + 1, depth[target])]
        for row, name in enumerate(names, depth[source] + 1):
            rows[row].append(name)
        bends.append(names)
    return rows, bends


def _neighbours(edges: Sequence[Pair], bends: Sequence[Sequence[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """What stands above and below each box and bend."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for (source, target), names in zip(edges, bends, strict=True):
        chain = [source, *names, target]
        for upper, lower in pairwise(chain):
            found.setdefault(upper, ([], []))[1].append(lower)
            found.setdefault(lower, ([], []))[0].append(upper)
    return found


def _order(rows: list[list[str]], neighbours: Mapping[str, tuple[list[str], list[str]]]) -> None:
    """Sort each row by where its neighbours stand, downward and upward in turn."""
    place = {name: float(index) for row in rows for index, name in enumerate(row)}
    for sweep in range(_SWEEPS):
        side = sweep % 2
        for row in rows if not side else reversed(rows):
            wanted = {}
            for name in row:
                around = neighbours.get(name, ((), ()))[side]
                wanted[name] = sum(place[other] for other in around) / len(around) if around else place[name]
            row.sort(key=lambda name: (wanted[name], place[name]))
            for index, name in enumerate(row):
                place[name] = float(index)


def _place(
    rows: list[list[str]], sizes: Mapping[str, Size], neighbours: Mapping[str, tuple[list[str], list[str]]]
) -> tuple[dict[str, float], dict[str, Point], float, float]:
    """The middle of each box, top and bottom of its row, then width and height of the whole."""
    middles: dict[str, float] = {}
    for row in rows:
        left = 0.0
        for name in row:
            middles[name] = left + sizes[name][0] / 2
            left += sizes[name][0] + GAP_X
    for sweep in range(_SWEEPS):
        side = sweep % 2
        for row in rows if not side else reversed(rows):
            _pull(row, sizes, middles, {name: neighbours.get(name, ((), ()))[side] for name in row})
    first = min(middles[name] - sizes[name][0] / 2 for row in rows for name in row)
    middles = {name: middle - first for name, middle in middles.items()}
    spans: dict[str, Point] = {}
    top = 0.0
    for row in rows:
        height = max(sizes[name][1] for name in row)
        spans.update(dict.fromkeys(row, (top, top + height)))
        top += height + GAP_Y
    width = max(middles[name] + sizes[name][0] / 2 for row in rows for name in row)
    return middles, spans, width, top - GAP_Y


def _pull(
    row: Sequence[str], sizes: Mapping[str, Size], middles: dict[str, float], around: Mapping[str, Sequence[str]]
) -> None:
    """Move a row's boxes toward their neighbours; none comes nearer to another than the gap, the order stays."""
    wanted = [
        sum(middles[other] for other in around[name]) / len(around[name]) if around[name] else middles[name]
        for name in row
    ]
    places: list[float] = []
    for index, name in enumerate(row):  # as wanted, but never too near to the one before
        room = places[-1] + (sizes[row[index - 1]][0] + sizes[name][0]) / 2 + GAP_X if index else wanted[index]
        places.append(max(wanted[index], room))
    shift = sum(want - place for want, place in zip(wanted, places, strict=True)) / len(row)
    for name, place in zip(row, places, strict=True):
        middles[name] = place + shift
