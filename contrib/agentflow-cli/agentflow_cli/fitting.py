"""A fit: which columns of a table give way, and how, where a line of the terminal has no room for all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP: Final = "  "
LEAST_CELLS: Final = 8
"""A column is not made narrower than this; it is left out instead."""


class Fit(NamedTuple):
    """How the columns of one table give way, in this order: wide ones are cut, ids are shortened, columns left out."""

    ids: bool = False
    """Whether the first column holds ids, which may be shortened to beginnings that differ from each other."""

    firm: tuple[str, ...] = ()
    """Columns that are whole wherever they are shown."""

    spare: tuple[str, ...] = ()
    """Columns that are left out first, in this order; then the others, the last first."""

    kept: tuple[str, ...] = ()
    """Columns that are never left out, as the first never is."""


def fitted(columns: Sequence[str], ids: Sequence[str], natural: Sequence[int], cells: int, fit: Fit) -> dict[int, int]:
    """The widths of the columns that are shown, by their place; together they take at most so many cells.

    ``ids`` are the cells of the first column, which is cut only when nothing else is left to give way.
    """
    places = list(range(len(columns)))
    order = dict.fromkeys((*fit.spare, *reversed(columns)))
    leaving = [columns.index(name) for name in order if name in columns[1:] and name not in fit.kept]
    least_id = min(natural[0], beginning(ids)) if fit.ids else natural[0]
    while True:
        for first in dict.fromkeys((natural[0], least_id)):
            widths = {place: natural[place] for place in places} | {0: first}
            if _shrink(widths, cells, firm={0, *(place for place in places if columns[place] in fit.firm)}):
                return widths
        if not leaving:
            break
        places.remove(leaving.pop(0))
    for place in (0, *places[1:]):  # a terminal too narrow for what is always shown
        widths[place] = max(1, widths[place] - max(0, _taken(widths) - cells))
    return widths


def beginning(ids: Sequence[str]) -> int:
    """The fewest characters, at least :data:`LEAST_CELLS`, by which the ids can be told from each other."""
    shared = (_alike(*pair) for pair in pairwise(sorted(set(ids))))
    return max([LEAST_CELLS, *(length + 1 for length in shared)])


def _alike(one: str, other: str) -> int:
    """How many characters two texts have in common from the first on."""
    pairs = zip(one, other, strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _shrink(widths: dict[int, int], cells: int, *, firm: set[int]) -> bool:
    """Cut the widest columns that may be cut; returns whether all fit then."""
    over = _taken(widths) - cells
    while over > 0:
        soft = sorted((width for place, width in widths.items() if place not in firm), reverse=True)
        if not soft or soft[0] <= LEAST_CELLS:
            return False
        widest = next(place for place in reversed(widths) if place not in firm and widths[place] == soft[0])
        step = max(1, min(over, soft[0] - max([LEAST_CELLS, *soft[1:2]])))
        widths[widest] -= step
        over -= step
    return True


def _taken(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(GAP) * (len(widths) - 1)
