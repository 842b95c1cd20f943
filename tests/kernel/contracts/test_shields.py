"""Whether a journal appends shielded is said by the class that says how it appends, and by nobody behind it."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow_kernel.contracts.journal import shield_of
from agentflow_kernel.testing import InProcessJournal


class Shielding(InProcessJournal):
    async def append(self, *arguments: Any) -> None:
        """As a journal would."""

    def append_shielded(self, *arguments: Any) -> Any:
        """The same."""


class Derived(Shielding):
    """Changes nothing of it."""


class Watching(Shielding):
    async def append(self, *arguments: Any) -> None:
        """Has to see each append."""


class Delegating:
    def __init__(self, journal: Shielding) -> None:
        self.journal = journal

    async def append(self, *arguments: Any) -> None:
        """Has to see each append, too."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)


@pytest.mark.parametrize(
    ("journal", "shields"),
    [
        (Shielding(), True),
        (Derived(), True),
        (Watching(), False),
        (Delegating(Shielding()), False),
        (InProcessJournal(), False),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, bool) else "",
)
def test_who_wraps_or_derives_sees_each_append(journal: Any, shields: bool) -> None:
    assert shield_of(journal) is (journal if shields else None)
