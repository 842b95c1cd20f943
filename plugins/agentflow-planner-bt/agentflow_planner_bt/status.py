"""A status: what a node of a tree last answered, as a word for users and as a small number inside."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What a node answered. ``IDLE``: never ticked, or halted; ``SKIPPED`` is only passed to the parent."""

    IDLE = "IDLE"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    SKIPPED = "SKIPPED"


STATUSES = tuple(Status)
"""The status of each number."""

IDLE, RUNNING, SUCCESS, FAILURE, SKIPPED = range(5)

CODES: dict[object, int] = {
    **{status: code for code, status in enumerate(STATUSES)},
    **{status.lower(): code for code, status in enumerate(STATUSES)},
}
"""The number of each status, and of its name in capital and small letters."""
