"""A watch: a list that is looked at again and again, redrawn on a terminal, told row by row elsewhere."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from agentflow_cli import failure
from agentflow_cli.fitting import Fit
from agentflow_cli.output import Table, as_yaml
from agentflow_cli.terminal import columns, escaped, in_colour, pause, say, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow_cli.shared import Format

HOME, TO_LINE_END, BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
CLEAR = "\x1b[2J"


class Row:
    """One line of a watched list. Without a terminal it is told anew when its ``sign`` has changed."""

    __slots__ = ("cells", "document", "key", "sign")

    def __init__(self, key: str, cells: Sequence[str], document: Any, sign: object = None) -> None:
        self.key = key
        self.cells = tuple(cells)
        self.document = document
        self.sign = self.cells if sign is None else sign


class View:
    """What is seen at one moment. ``head`` stands above the rows; with ``ended`` the watch is over."""

    __slots__ = ("ended", "fit", "head", "headings", "rows")

    def __init__(
        self,
        headings: Sequence[str],
        rows: Sequence[Row],
        *,
        head: Table | None = None,
        ended: bool = False,
        fit: Fit = Fit(),  # noqa: B008 - cannot change
    ) -> None:
        self.headings = tuple(headings)
        self.rows = tuple(rows)
        self.head = head
        self.ended = ended
        self.fit = fit


def watch(form: Format, see: Callable[[], View], *, interval_s: float) -> int:
    """Look until the view has ended (0), the reader is gone (0), or Ctrl-C (130)."""
    show = _Screen() if form in {"table", "wide"} and columns(sys.stdout) is not None else _Tape(form)
    try:
        while True:
            view = see()
            if not show(view) or view.ended or not pause(interval_s):
                return 0
    except BaseException as error:
        if not failure.interrupts(error):
            raise
        return failure.INTERRUPTED


class _Screen:
    """Redraws the whole list in its place, when it looks different."""

    def __init__(self) -> None:
        self._shown: list[str] | None = None

    def __call__(self, view: View) -> bool:
        cells, colour = columns(sys.stdout), in_colour(sys.stdout)
        lines = [] if view.head is None else [*view.head.lines(cells, in_colour=colour), ""]
        rows = [row.cells for row in view.rows]
        lines += Table(view.headings, rows, overflow="cut", fit=view.fit).lines(cells, in_colour=colour)
        import shutil  # lazy: 10 ms, only where a terminal is

        height = shutil.get_terminal_size().lines
        if len(lines) >= height > 2:
            kept, more = height - 2, f"… {len(lines) - height + 2} more"
            lines = [*lines[:kept], more] if view.head is None else [more, *lines[-kept:]]
        if lines == self._shown:
            return True
        begin = CLEAR if self._shown is None else ""
        self._shown = lines
        return write(begin + HOME + "".join(f"{line}{TO_LINE_END}\n" for line in lines) + BELOW)


class _Tape:
    """Writes what is new or has changed, and says what is gone."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._signs: dict[str, object] = {}
        self._widths: tuple[int, ...] = ()
        self._began = False

    def __call__(self, view: View) -> bool:
        changed = [row for row in view.rows if self._signs.get(row.key, self) != row.sign]
        gone = [key for key in self._signs if key not in {row.key for row in view.rows}]
        self._signs = {row.key: row.sign for row in view.rows}
        text = self._text(view, changed)
        self._began = True
        for key in gone:
            say(f"{key} is gone.")
        return write(text) if text else True

    def _text(self, view: View, changed: Sequence[Row]) -> str:
        if self._form == "json":
            return "".join(escaped(json.dumps(row.document, ensure_ascii=False)) + "\n" for row in changed)
        if self._form == "yaml":
            return "".join(f"---\n{as_yaml(row.document)}" for row in changed)
        if self._form == "name":
            return "".join(f"{row.key}\n" for row in changed)
        head = "" if view.head is None or self._began else view.head.as_text() + "\n"
        if not changed and self._began:
            return ""
        table = Table(view.headings, [row.cells for row in changed])
        lines = table.lines()
        return head + "".join(line + "\n" for line in (lines[1:] if self._began else lines))
