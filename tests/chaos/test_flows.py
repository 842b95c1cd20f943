"""The feature flows: each does what its case says, and together they use every type of record."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from crash import Estate, Life, names, problems_of
from flows import CASES

from agentflow_kernel.contracts.journal import RecordType
from agentflow_kernel.testing import InProcessJournal, InProcessMemory

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]


@pytest.mark.parametrize("name", names())
async def test_a_flow_ends_as_its_case_says(name: str, tmp_path: Path) -> None:
    """Without a disturbance: the end, the output, what senders were told, the effects, each once."""
    case = CASES[name]
    estate = Estate(InProcessJournal(), InProcessMemory(), str(tmp_path))
    life = Life(case, estate, 1)
    assert await life.live() == case.ends[0]
    assert life.refused == [send.refused for send in case.sends if send.refused]
    assert await problems_of(case, estate) == []


@pytest.mark.blocking
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_flows_use_every_type_of_record(tmp_path: Path) -> None:
    """A new type needs a flow here, and one that nothing writes any more has to go."""
    types: set[str] = set()
    for case in CASES.values():
        estate = Estate(InProcessJournal(), InProcessMemory(), str(tmp_path / case.name))
        await Life(case, estate, 1).live()
        types |= {record.type for records in (await estate.histories()).values() for record in records}
    assert types == set(get_args(RecordType))


def test_there_are_enough_flows() -> None:
    """The promise speaks of forty."""
    assert len(CASES) >= 40
