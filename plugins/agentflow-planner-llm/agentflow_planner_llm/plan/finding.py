"""The codes of a plan's findings."""

from __future__ import annotations

from agentflow_kernel.errors import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = "P001"
DUPLICATE = "P002"
UNKNOWN_NAME = "P003"
ARGUMENTS = "P004"
REFERENCE = "P005"
CYCLE = "P006"
UNREACHABLE = "P007"
DEAD_END = "P008"
MISMATCH = "P009"
PERMISSION = "P010"
BUDGET = "P011"
CONFLICT = "P012"
CONDITION = "P013"
TAINT = "P014"


def suggest(name: str, known: Iterable[str]) -> str:
    """``Did you mean 'x'?``, or ``""`` when nothing known is near."""
    found = nearest(name, known)
    return "" if found is None else f"Did you mean {found!r}?"
