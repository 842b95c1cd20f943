"""An answer on standard output: one document as JSON or YAML for programs, or a table for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

from agentflow_cli.cells import cut, fill, fold, width
from agentflow_cli.fitting import GAP, Fit, fitted
from agentflow_cli.terminal import columns, escaped, in_colour, one_line, unsafe, visible, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentflow_cli.shared import Format

_STYLES: Final = {
    "completed": "32",
    "running": "36",
    "suspended": "33",
    "stuck": "31",
    "quarantined": "31",
    "failed": "31",
    "cancelled": "33",
    "ok": "32",
    "note": "36",
    "warning": "33",
    "problem": "1;31",
    "created": "32",
    "configured": "33",
    "deleted": "31",
}
"""Words that carry a colour (the parameters of SGR in ECMA-48) where they are a whole cell."""


class Table:
    """Rows under headings. Cells may hold untrusted text: they are shown on one line, without control characters.

    On a terminal no line of a table is wider than the terminal, as ``fit`` says. What does not fit is cut, but in
    the last column folded, if ``overflow`` says so; a column that folds is not left out. ``None`` never cuts.
    Elsewhere nothing is cut.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        overflow: Literal["fold", "cut"] | None = "fold",
        fit: Fit = Fit(),  # noqa: B008 - cannot change
    ) -> None:
        self.columns = tuple(columns)
        self.rows = [tuple(one_line(cell) for cell in row) for row in rows]
        self.overflow = overflow
        self.fit = fit

    def show(self) -> bool:
        """Write the table, coloured and fitted where a terminal is; returns whether somebody still reads."""
        return write(self.as_text(columns(sys.stdout), in_colour=in_colour(sys.stdout)))

    def as_text(self, cells: int | None = None, *, in_colour: bool = False) -> str:
        """The table in at most so many cells a line; columns are as wide as their widest cell."""
        lines = self.lines(cells if self.overflow else None, in_colour=in_colour)
        return "".join(line + "\n" for line in lines)

    def lines(self, cells: int | None = None, *, in_colour: bool = False) -> list[str]:
        """The lines of the table, the headings first."""
        rows = [self.columns, *self.rows]
        widths = self._widths(cells)
        found: list[str] = []
        for number, row in enumerate(rows):
            found += self._row(row, widths, style="1" if not number and in_colour else None, in_colour=in_colour)
        return found

    def _widths(self, cells: int | None) -> dict[int, int]:
        """The widths of the columns that are shown, by their place."""
        natural = [max(map(width, column)) for column in zip(self.columns, *self.rows, strict=True)]
        if cells is None:
            return dict(enumerate(natural))
        fit = self.fit
        if self.overflow == "fold":  # what folds finds room
            fit = fit._replace(kept=(*fit.kept, self.columns[-1]))
        return fitted(self.columns, [row[0] for row in self.rows], natural, cells, fit)

    def _row(self, row: Sequence[str], widths: dict[int, int], *, style: str | None, in_colour: bool) -> list[str]:
        """One row, on several lines where its last cell is folded."""
        *others, last = widths
        shown = [self._cut(row[place], place, widths[place]) for place in others]
        folds = self.overflow == "fold" and last == len(self.columns) - 1
        folded = fold(row[last], widths[last]) if folds else [self._cut(row[last], last, widths[last])]
        lines = []
        for number, piece in enumerate(folded):
            cells = [*(shown if not number else [""] * len(shown)), piece]
            rooms = [*(widths[place] for place in others), 0]
            painted = [
                _painted(fill(cell, room), style or (_STYLES.get(row[place]) if in_colour else None))
                for cell, room, place in zip(cells, rooms, widths, strict=True)
            ]
            lines.append(GAP.join(painted).rstrip())
        return lines

    def _cut(self, cell: str, place: int, room: int) -> str:
        """The cell in its room; an id keeps its beginning, without a mark, so that it can be copied."""
        if place == 0 and self.fit.ids and cell.isascii() and cell != self.columns[0]:
            return cell[:room]
        return cut(cell, room)


def _painted(cell: str, style: str | None) -> str:
    if style is None or not cell.strip():
        return cell
    text = cell.rstrip()
    return f"\x1b[{style}m{text}\x1b[0m{cell[len(text) :]}"


def show(form: Format, document: Any, *tables: Table) -> None:
    """Write one answer: the document for programs, the tables, an empty line between them, for people."""
    if form == "json":
        write(as_json(document))
    elif form == "yaml":
        write(as_yaml(document))
    else:
        for number, table in enumerate(tables):
            if number:
                write("\n")
            table.show()


def as_json(document: Any) -> str:
    """The document as indented JSON; characters that would act on a terminal are escaped."""
    return escaped(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"


def as_yaml(document: Any) -> str:
    """The document as YAML without anchors; characters that would act on a terminal are escaped."""
    from agentflow_kernel.manifest import to_yaml  # lazy: only where YAML is asked for

    return escaped(to_yaml(document, quote=unsafe))


def as_text(value: Any) -> str:
    """A result for people: text as it is, anything else as YAML, nothing for nothing; control characters removed."""
    if value is None:
        return ""
    if isinstance(value, list | dict):
        value = as_yaml(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return visible(text).rstrip("\n") + "\n"


def fields(document: Mapping[str, object]) -> Table:
    """An object as a table of two columns, empty values left out."""
    return Table(("FIELD", "VALUE"), [(key, str(value)) for key, value in document.items() if value not in {None, ""}])
