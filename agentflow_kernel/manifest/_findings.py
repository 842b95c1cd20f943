"""Findings: everything wrong in one reading, gathered first and raised together in document order."""

from __future__ import annotations

from agentflow_kernel.errors import ManifestError, ManifestErrors, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

MOST = 1_000
"""So many findings are listed; the rest is counted. A hostile file must not cost minutes of explaining."""
_COMPARISONS = 20_000
"""So many names are compared in one reading in search of the nearest; later findings go without a suggestion."""


class Findings:
    """Collects findings. ``files`` are all files of the reading, in their order."""

    __slots__ = ("_comparisons_left", "_found", "_order", "_omitted")

    def __init__(self) -> None:
        self._found: list[tuple[int, int, int, int, ManifestError]] = []
        self._order: dict[str, int] = {}
        self._omitted = 0
        self._comparisons_left = _COMPARISONS

    def __len__(self) -> int:
        return len(self._found) + self._omitted

    @property
    def full(self) -> bool:
        """Whether further findings are only counted: a reason to stop looking for some."""
        return self._omitted > 0

    def add(self, problem: str, file: str, place: tuple[int, int] = (0, 0), *, path: str = "", hint: str = "") -> None:
        """Keep a finding; files are in document order as they are first mentioned by :meth:`open_file`."""
        if len(self._found) >= MOST:
            self._omitted += 1
            return
        line, column = place
        finding = ManifestError(problem, file=file, line=line, column=column, path=path, hint=hint)
        self._found.append((self.open_file(file), line, column, len(self._found), finding))

    def open_file(self, file: str) -> int:
        """The position of a file among those of this reading."""
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
        if self._omitted:
            findings.append(ManifestError(f"… and {self._omitted} further findings."))
        raise ManifestErrors(findings)
