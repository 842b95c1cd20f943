"""The warning for runs that nobody asked to keep."""

from __future__ import annotations


class NotDurableWarning(UserWarning):
    """Runs of this kernel are kept in memory only: they are lost when the process ends."""
