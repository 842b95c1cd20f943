"""The tool `search`: the lines of a file, or of all files below a folder, that hold a text or fit a pattern."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from agentflow_tools._bytes import is_binary, pieces
from agentflow_tools._lines import cut_mark, show_line
from agentflow_tools._pattern import Pattern, compile_pattern
from agentflow_tools._walk import Walk
from agentflow_tools._watch import TimeOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_kernel.contracts.values import JSON
    from agentflow_tools._root import Opened, Root
    from agentflow_tools._watch import Watch
    from agentflow_tools.settings import FilesSettings

MAX_LINE_BYTES = 1_048_576
"""How far into a line the search looks."""

_MATCH_OVERHEAD_BYTES = 40
"""What a match of the result needs beside its path and text."""


class Searching(NamedTuple):
    """What is asked: lines with `pattern` in one file, or in the files below a folder whose names fit `files`."""

    path: str
    pattern: str
    regex: bool
    ignore_case: bool
    files: str
    max_matches: int


class _BytesUsedUp(Exception):
    """The files are larger than one search may read."""


def search(root: Root, settings: FilesSettings, asked: Searching, watch: Watch) -> JSON:
    """The first matching lines, as many as the limits allow; all that match are counted. Blocks.

    Files in the order of their paths. Binary files are left out, unless one is asked for by its path.
    """
    pattern = compile_pattern(asked.pattern, regex=asked.regex, ignore_case=asked.ignore_case, watch=watch)
    with root.open(asked.path) as opened:
        hunt = _Hunt(settings, asked, pattern, watch)
        if not opened.is_folder:
            return hunt.run(opened.path, iter((opened,)), None)
        walk = Walk(opened, asked.files, watch)
        with contextlib.closing(iter(walk)) as files:
            return hunt.run(opened.path, files, walk)


class _Hunt:
    """The matches so far, and what was read for them."""

    def __init__(self, settings: FilesSettings, asked: Searching, pattern: Pattern, watch: Watch) -> None:
        self._settings = settings
        self._max_matches = min(asked.max_matches, settings.max_matches)
        self._pattern = pattern
        self._watch = watch
        self._matches: list[JSON] = []
        self._full = False
        self._result_bytes = 0
        self._read_bytes = 0
        self._matching = self._files = self._binary = self._long_lines = 0

    def run(self, path: str, files: Iterator[Opened], walk: Walk | None) -> JSON:
        """Look through the files until their end or a limit."""
        stopped = None
        try:
            for opened in files:
                if walk is not None and is_binary(opened):
                    self._binary += 1
                    continue
                self._files += 1
                self._look_through(opened)
        except TimeOver:
            stopped = "time"
        except _BytesUsedUp:
            stopped = "max_search_bytes"
        return {
            "path": path,
            "matches": self._matches,
            "matching_lines": self._matching,
            "complete": stopped is None and len(self._matches) == self._matching and not self._long_lines,
            "stopped": stopped,
            "searched_files": self._files,
            "searched_bytes": self._read_bytes,
            "binary_files": self._binary,
            "skipped": 0 if walk is None else walk.skipped,
            "long_lines": self._long_lines,
        }

    def _look_through(self, opened: Opened) -> None:
        number = 1
        for block in self._blocks(opened):
            for line_number, line in self._pattern.candidates(block, number):
                end = self._pattern.find(line)
                if end is not None:
                    self._matching += 1
                    self._keep(opened.path, line_number, line, end)
            number += block.count(b"\n")

    def _blocks(self, opened: Opened) -> Iterator[bytes]:
        """Whole lines; of one longer than `MAX_LINE_BYTES` its beginning."""
        carry, dropping = b"", False
        for piece in pieces(opened, self._watch):
            self._read_bytes += len(piece)
            if self._read_bytes > self._settings.max_search_bytes:
                raise _BytesUsedUp
            start = max(piece.find(b"\n"), 0) if dropping else 0
            last = piece.rfind(b"\n")
            if last >= 0:
                yield carry + piece[start : last + 1]
                carry, dropping = piece[last + 1 :], False
            elif not dropping:
                carry += piece
                if len(carry) > MAX_LINE_BYTES:
                    carry, dropping = carry[:MAX_LINE_BYTES], True
                    self._long_lines += 1
        if carry:
            yield carry

    def _keep(self, path: str, number: int, line: bytes, end: int) -> None:
        """Add one match, if there is still room for it; once one had to be left out, no later one is added."""
        if self._full or len(self._matches) == self._max_matches:
            return
        text = _excerpt(line, end, self._settings.max_line_chars)
        self._result_bytes += len(path.encode()) + len(text.encode()) + _MATCH_OVERHEAD_BYTES
        if self._result_bytes > self._settings.max_bytes and self._matches:
            self._full = True
            return
        self._matches.append({"path": path, "line": number, "text": text})


def _excerpt(line: bytes, end: int, limit: int) -> str:
    """The line, cut at `limit` characters so that the match, which ends at character `end`, is in sight."""
    if len(line) <= limit or end <= limit:
        return show_line(line, len(line), limit).text
    text = show_line(line, len(line), len(line)).text
    start = max(0, min(end - limit // 2, len(text) - limit))
    part = f"… {text[start : start + limit]}"
    return part if start + limit >= len(text) else part + cut_mark(len(line))
