"""A member: what a suite needs of a harness or of a subject, or the error that says it is not there."""

from __future__ import annotations

from typing import TypeVar

from agentflow_kernel.errors import Unsupported

Subject = TypeVar("Subject")


def with_members(subject: Subject, *names: str) -> Subject:
    """The same object, which has all these members; raises :class:`Unsupported` for the first that is missing."""
    missing = [name for name in names if not hasattr(subject, name)]
    if missing:
        raise Unsupported(f"{type(subject).__name__}.{missing[0]}", "there is no such member.")
    return subject
