"""The tool `read`: some lines of one file."""

from __future__ import annotations

from typing import NamedTuple

from agentflow_kernel.errors import AskModelAgain
from agentflow_tools._lines import count_lines, find_line, lines_from, show_line
from agentflow_tools._watch import TimeOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON
    from agentflow_tools._root import Opened, Root
    from agentflow_tools._watch import Watch
    from agentflow_tools.settings import FilesSettings


class Reading(NamedTuple):
    """What is asked: `max_lines` lines from line `start_line`, counted from 1, or from the end where negative."""

    path: str
    start_line: int
    max_lines: int


def read(root: Root, settings: FilesSettings, asked: Reading, watch: Watch) -> JSON:
    """The lines asked for, as many as the limits allow, and where to go on. Blocks."""
    with root.open(asked.path) as opened:
        if opened.is_folder:
            raise AskModelAgain(f"{opened.path!r} is a folder. Call list to see its files, then read one of them.")
        return _Page(settings, asked, opened).fill(watch)


class _Page:
    """The lines gathered so far, and whether they are all."""

    def __init__(self, settings: FilesSettings, asked: Reading, opened: Opened) -> None:
        self._settings = settings
        self._asked = asked
        self._opened = opened
        self._lines: list[str] = []
        self._size_bytes = 0
        self._first = max(asked.start_line, 1)
        self._stopped: str | None = None
        self._cut = 0
        self._invalid = self._binary = False

    def fill(self, watch: Watch) -> JSON:
        """Read until the end of the file or a limit."""
        try:
            start = self._asked.start_line
            if start < 0:
                start = max(1, count_lines(self._opened, watch) + 1 + start)
            offset, self._first = find_line(self._opened, watch, max(start, 1))
            self._gather(watch, offset)
        except TimeOver:
            self._stopped = "time"
        return self._result()

    def _gather(self, watch: Watch, offset: int) -> None:
        limit = self._settings.max_line_chars
        most = min(self._asked.max_lines, self._settings.max_lines)
        for head, length, end in lines_from(self._opened, watch, offset, 4 * limit + 1):
            line = show_line(head, length, limit)
            size_bytes = len(line.text.encode()) + 1
            if self._size_bytes + size_bytes > self._settings.max_bytes:
                self._stopped = "max_bytes"
                return
            self._lines.append(line.text)
            self._size_bytes += size_bytes
            self._cut += line.was_cut
            self._invalid |= line.was_invalid
            self._binary |= line.was_binary
            if len(self._lines) >= most and end < self._opened.status.st_size:
                self._stopped = "max_lines"
                return

    def _result(self) -> JSON:
        following = self._first + len(self._lines)
        # without its place in the file a page says nothing; "time" before the first line was found
        found = self._stopped != "time" or bool(self._lines)
        return {
            "path": self._opened.path,
            "size_bytes": self._opened.status.st_size,
            "first_line": self._first,
            "last_line": following - 1,
            "text": "\n".join(self._lines),
            "next_line": following if self._stopped and found else None,
            "total_lines": following - 1 if self._stopped is None else None,
            "stopped": self._stopped,
            "cut_lines": self._cut,
            "invalid_utf8": self._invalid,
            "binary": self._binary,
        }
