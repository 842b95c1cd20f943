"""An answer on standard output: one document as JSON or YAML for programs, or a table for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

from agentflow_cli.cells import cut, fill, fold, width
from agentflow_cli.terminal import columns, escaped, in_colour, one_line, unsafe, visible, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentflow_cli.shared import Format

GAP: Final = "  "
LEAST_CELLS: Final = 8
"""A column is not made narrower than this."""

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

    On a terminal a table is fitted to its width: the first column is there to be copied and stays whole; of the
    others the widest give way. What does not fit is cut, but in the last column folded, if ``overflow`` says so.
    ``None`` never cuts. Elsewhere nothing is cut.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        overflow: Literal["fold", "cut"] | None = "fold",
    ) -> None:
        self.columns = tuple(columns)
        self.rows = [tuple(one_line(cell) for cell in row) for row in rows]
        self.overflow = overflow

    def show(self) -> bool:
        """Write the table, coloured and fitted where a terminal is; returns whether somebody still reads."""
        return write(self.as_text(columns(sys.stdout), in_colour=in_colour(sys.stdout)))

    def as_text(self, cells: int | None = None, *, in_colour: bool = False) -> str:
        """The table in at most so many cells a line, if that can be; columns are as wide as their widest cell."""
        lines = self.lines(cells if self.overflow else None, in_colour=in_colour)
        return "".join(line + "\n" for line in lines)

    def lines(self, cells: int | None = None, *, in_colour: bool = False) -> list[str]:
        """The lines of the table, the headings first."""
        rows = [self.columns, *self.rows]
        natural = [max(width(row[column]) for row in rows) for column in range(len(self.columns))]
        widths = natural if cells is None else _fitted(natural, cells)
        found: list[str] = []
        for number, row in enumerate(rows):
            found += self._row(row, widths, style="1" if not number and in_colour else None, in_colour=in_colour)
        return found

    def _row(self, row: Sequence[str], widths: Sequence[int], *, style: str | None, in_colour: bool) -> list[str]:
        """One row, on several lines where its last cell is folded."""
        *others, last = row
        shown = [cut(cell, room) for cell, room in zip(others, widths, strict=False)]
        folded = fold(last, widths[-1]) if self.overflow == "fold" else [cut(last, widths[-1])]
        lines = []
        for number, piece in enumerate(folded):
            cells = [*(shown if not number else [""] * len(shown)), piece]
            whole = [*row[:-1], last]
            painted = [
                _painted(fill(cell, room), style or (_STYLES.get(word) if in_colour else None))
                for cell, room, word in zip(cells, [*widths[:-1], 0], whole, strict=True)
            ]
            lines.append(GAP.join(painted).rstrip())
        return lines


def _fitted(natural: Sequence[int], cells: int) -> list[int]:
    """The widths of columns that fit into so many cells, if the first may keep its own."""
    widths = list(natural)
    over = sum(widths) + len(GAP) * (len(widths) - 1) - cells
    while over > 0:
        widest = max(range(1, len(widths)), key=widths.__getitem__, default=0)
        if not widest or widths[widest] <= LEAST_CELLS:
            break
        others = [widths[column] for column in range(1, len(widths)) if column != widest]
        step = max(1, min(over, widths[widest] - max([LEAST_CELLS, *others])))
        widths[widest] -= step
        over -= step
    return widths


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
