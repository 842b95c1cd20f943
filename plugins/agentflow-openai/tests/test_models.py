"""The table of models and what a call costs."""

from __future__ import annotations

import pytest

from agentflow_kernel.contracts.provider import Usage
from agentflow_openai.models import MODELS, cost_of, find_model


def test_every_model_has_limits_and_dated_prices_with_a_source() -> None:
    for model in MODELS:
        assert model.context_tokens > model.output_tokens > 0
        assert model.prices is not None
        assert model.prices.as_of
        assert model.prices.source.startswith("https://")
        assert 0 < model.prices.cached <= model.prices.input < model.prices.output


def test_names_and_aliases_are_unique() -> None:
    names = [name for model in MODELS for name in (model.name, *model.aliases)]
    assert len(names) == len(set(names))


def test_a_model_is_found_by_name_alias_and_dated_snapshot() -> None:
    assert find_model("terra").name == "gpt-6.1-terra"
    assert find_model("gpt-4o").name == "gpt-4o"
    assert find_model("gpt-4o-2024-08-06").name == "gpt-4o"
    assert find_model("gpt-4o-2024") is None
    assert find_model("llama3.2") is None


def test_cost_counts_cached_and_written_tokens_at_their_own_prices() -> None:
    """1,000 plain, 500 cached, 200 written at 1, 0.05 and 1.25; 100 out at 5 US dollars a million."""
    cost = cost_of("gpt-6.1-terra", Usage(1_700, 100, 500, cache_write_tokens=200))
    assert cost == pytest.approx((1_000 * 1 + 500 * 0.05 + 200 * 1.25 + 100 * 5) / 1e6)


def test_a_long_prompt_costs_more_where_the_context_is_large() -> None:
    assert cost_of("gpt-6.1-terra", Usage(272_000, 1_000)) == pytest.approx(0.272 + 0.005)
    assert cost_of("gpt-6.1-terra", Usage(300_000, 1_000)) == pytest.approx(2 * 0.3 + 1.5 * 0.005)
    assert cost_of("gpt-4.1", Usage(300_000, 1_000)) == pytest.approx(0.6 + 0.008)


def test_no_cost_is_told_where_price_or_tokens_are_unknown() -> None:
    assert cost_of("llama3.2", Usage(10, 10)) is None
    assert cost_of("gpt-4o", Usage()) is None
