"""Findings: everything wrong in one reading, gathered first and raised together in document order."""

from __future__ import annotations

from agentflow_kernel.errors import ManifestError, ManifestErrors, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

MOST = 1_000
"""After so many findings the reading ends. A hostile file must not cost minutes of explaining."""
_COMPARISONS = 20_000
"""So many names are compared in one reading in search of the nearest; later findings go without a suggestion."""


class Full(Exception):
    """There are so many findings that looking for more would help nobody."""


class Findings:
    """Collects findings."""

    __slots__ = ("_comparisons_left", "_found", "_order")

    def __init__(self) -> None:
        self._found: list[tuple[int, int, int, int, ManifestError]] = []
        self._order: dict[str, int] = {}
        self._comparisons_left = _COMPARISONS

    def __len__(self) -> int:
        return len(self._found)

    def add(self, problem: str, file: str, place: tuple[int, int] = (0, 0), *, path: str = "", hint: str = "") -> None:
        """Keep a finding.

        Raises:
            Full: there are enough already.
        """
        if len(self._found) >= MOST:
            raise Full
        line, column = place
        finding = ManifestError(problem, file=file, line=line, column=column, path=path, hint=hint)
        self._found.append((self.open_file(file), line, column, len(self._found), finding))

    def open_file(self, file: str) -> int:
        """The position of a file in document order: files are in the order in which they were first opened."""
        return self._order.setdefault(file, len(self._order))

    def suggest(self, name: str, known: Collection[str]) -> str:
        """``Did you mean …?`` with the nearest of the known names, or nothing where none is near."""
        if len(known) > self._comparisons_left or len(name) > 100:
            return ""
        self._comparisons_left -= len(known)
        close = nearest(name, known)
        return "" if close is None else f"Did you mean {close!r}?"

    def raise_if_any(self) -> None:
        """Raise :class:`ManifestErrors` with all findings, unless there are none."""
        if not self._found:
            return
        self._found.sort(key=lambda entry: entry[:4])
        findings = [entry[4] for entry in self._found]
        if len(findings) >= MOST:
            findings.append(ManifestError("The rest of the manifest was not looked at."))
        raise ManifestErrors(findings)
