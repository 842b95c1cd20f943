"""The collector is relaxed where nobody has set it, and left alone where somebody has."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.collector import THRESHOLDS, relax

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.set_threshold(*before)
    (gc.enable if enabled else gc.disable)()


def test_the_collector_of_a_fresh_process_is_relaxed() -> None:
    relax()
    assert gc.get_threshold() == THRESHOLDS
    relax()
    assert gc.get_threshold() == THRESHOLDS


def test_what_somebody_has_set_stays() -> None:
    gc.set_threshold(5_000, 5, 5)
    relax()
    assert gc.get_threshold() == (5_000, 5, 5)


def test_one_that_is_switched_off_stays_off() -> None:
    before = gc.get_threshold()
    gc.disable()
    relax()
    assert gc.get_threshold() == before
    assert not gc.isenabled()
