"""A version range: the comparators ``== != >= <= > < ~=`` of PEP 440 on the numbers of a release, and nothing more.

``1.4`` and ``1.4.0`` are the same release, ``1.4+local`` counts as ``1.4``. What is no plain release (``1.4rc1``,
``1.4.dev3``, ``1.4.post1``, ``1!4``) is in no range; ``==`` admits it by its exact text.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Release = tuple[int, ...]

_OPERATORS = ("==", "!=", ">=", "<=", "~=", ">", "<")
_DIGITS = frozenset("0123456789")
_VERSION = _DIGITS.union("abcdefghijklmnopqrstuvwxyz.!+-_")


class VersionRange:
    """Comma-separated clauses that all must hold; ``*`` holds for every version.

    Raises:
        ValueError: a clause that is not an operator and a release.
    """

    __slots__ = ("text", "_clauses")

    def __init__(self, text: str) -> None:
        self.text = text
        self._clauses = [] if text.strip() == "*" else [_clause(part.strip()) for part in text.split(",")]

    def __contains__(self, version: str) -> bool:
        return all(_holds(operator, wanted, version) for operator, wanted in self._clauses)


def _clause(text: str) -> tuple[str, str]:
    for operator in _OPERATORS:
        if text.startswith(operator):
            wanted = text[len(operator) :].strip().lower()
            if operator == "==" and wanted[:1] in _DIGITS and _VERSION.issuperset(wanted):
                return operator, wanted  # also the exact text of a version that is no plain release
            numbers = None if "+" in wanted else _release(wanted)
            if not numbers or len(numbers) < (2 if operator == "~=" else 1):
                break
            return operator, wanted
    raise ValueError(f"{text!r} is no version clause; expected one of {' '.join(_OPERATORS)} and a release like 1.4")


def _holds(operator: str, wanted: str, version: str) -> bool:
    version = version.strip().lower()
    if operator == "==" and (wanted == version or "+" in wanted):
        return wanted == version
    found, limit = _release(version), _release(wanted)
    if found is None or limit is None:
        return False
    width = max(len(found), len(limit))
    here, there = _padded(found, width), _padded(limit, width)
    if operator == "~=":
        return here >= there and here[: len(limit) - 1] == limit[:-1]
    outcomes = {"==": here == there, "!=": here != there, ">=": here >= there, "<=": here <= there}
    return outcomes.get(operator, here > there if operator == ">" else here < there)


def _padded(release: Sequence[int], width: int) -> Release:
    return (*release, *[0] * (width - len(release)))


def _release(version: str) -> Release | None:
    """The numbers of a plain release, or ``None``."""
    parts = version.partition("+")[0].split(".")
    if not all(part and _DIGITS.issuperset(part) and len(part) <= 18 for part in parts):
        return None
    return tuple(map(int, parts))
