"""Prices: each token costs once, at the price of its kind."""

from __future__ import annotations

import pytest

from agentflow_kernel.contracts.provider import Prices, Usage

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("prices", "usage", "dollars"),
    [
        (Prices(3, 15), Usage(MILLION, 0), 3.0),
        (Prices(3, 15), Usage(0, 2 * MILLION), 30.0),
        (Prices(3, 15), Usage(MILLION, 0, 400_000), 3.0),
        (Prices(3, 15, cached=0.3), Usage(MILLION, 0, MILLION), 0.3),
        (Prices(3, 15, cached=0.3, cache_write=3.75), Usage(MILLION, 0, 500_000, cache_write_tokens=400_000), 1.95),
        (Prices(0, 0), Usage(MILLION, MILLION), 0.0),
        (Prices(3, 15, cached=0.3), Usage(10, 0, 20), 6e-06),
    ],
    ids=["prompt", "answer", "cached at the full price", "cached", "all kinds", "for nothing", "more cached than sent"],
)
def test_what_a_call_costs(prices: Prices, usage: Usage, dollars: float) -> None:
    assert prices.cost_of(usage) == pytest.approx(dollars)
