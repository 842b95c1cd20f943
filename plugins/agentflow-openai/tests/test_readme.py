"""The README tells the settings and models that there are."""

from __future__ import annotations

import re
from pathlib import Path

from agentflow_openai.models import MODELS
from agentflow_openai.settings import OpenAISettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.partition(f"{title}\n")[2].partition("\n#")[0]


def test_every_setting_has_its_row() -> None:
    rows = [line.split("|")[1] for line in section("## Settings").splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(OpenAISettings.model_fields)


def test_every_model_has_its_row_with_aliases_limits_and_prices() -> None:
    rows = [line for line in section("### Models").splitlines() if line.startswith("| `")]
    found = {}
    for row in rows:
        _, name, alias, limits, prices, _ = (cell.strip() for cell in row.split("|"))
        told = [float(price) if price[0].isdigit() else None for price in prices.split(", ")]
        found[name.strip("`")] = (alias.strip("`"), [int(limit.replace(",", "")) for limit in limits.split(", ")], told)
    assert found == {
        model.name: (
            "".join(model.aliases),
            [model.context_tokens, model.output_tokens],
            [model.prices.input, model.prices.cached, model.prices.cache_write, model.prices.output],
        )
        for model in MODELS
    }


def test_the_date_of_the_prices_is_told() -> None:
    assert all(model.prices.as_of in README and model.prices.source in README for model in MODELS)
