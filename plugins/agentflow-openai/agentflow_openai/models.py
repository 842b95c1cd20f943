"""The models that the vendor offers on this protocol: names, aliases, limits in tokens and prices.

An alias is this plugin's own short name and is sent as the vendor's. A dated snapshot (``gpt-4o-2024-08-06``) is sent
as it is and costs what its model does. Servers of others have their own models; their names pass through unpriced.

Source: the vendor's pages on pricing and on each model, standard tier, prompts of up to 272,000 tokens, read through
their published copies of 2026-11-18. A cache write costs 1.25 times the input from GPT-5.6 on, and nothing more before.
"""

from __future__ import annotations

import re

from agentflow_kernel.contracts.provider import ModelInfo, Prices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.provider import Usage

_SOURCE = "https://developers.openai.com/api/docs/pricing"
_AS_OF = "2026-11-18"
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_LONG_PROMPT = 272_000
_LARGE = 1_050_000


def _model(
    name: str,
    price: tuple[float, float, float, float | None],
    limits: tuple[int, int] = (_LARGE, 128_000),
    aliases: tuple[str, ...] = (),
) -> ModelInfo:
    """A row: prices of input, output, cached input and cache write; limits of context and output."""
    given, written, cached, cache_write = price
    prices = Prices(given, written, cached=cached, cache_write=cache_write, as_of=_AS_OF, source=_SOURCE)
    return ModelInfo(name, aliases=aliases, context_tokens=limits[0], output_tokens=limits[1], prices=prices)


MODELS: tuple[ModelInfo, ...] = (
    _model("gpt-6.2-astra", (8, 40, 0.4, 10), aliases=("astra",)),
    _model("gpt-6.2-sol", (2, 10, 0.1, 2.5), aliases=("sol",)),
    _model("gpt-6.1-sol", (2, 10, 0.1, 2.5)),
    _model("gpt-6.1-terra", (1, 5, 0.05, 1.25), aliases=("terra",)),
    _model("gpt-6-astra", (10, 50, 1, 12.5)),
    _model("gpt-6-sol", (2, 10, 0.2, 2.5)),
    _model("gpt-6-luna", (0.1, 0.5, 0.01, 0.125), aliases=("luna",)),
    _model("gpt-5.6-sol", (4, 20, 0.4, 5)),
    _model("gpt-5.6-terra", (2, 12, 0.2, 2.5)),
    _model("gpt-5.6-luna", (0.2, 1.2, 0.02, 0.25)),
    _model("gpt-5.5", (5, 30, 0.5, None)),
    _model("gpt-5.4", (2.5, 15, 0.25, None)),
    _model("gpt-5.4-mini", (0.75, 4.5, 0.075, None), (400_000, 128_000)),
    _model("gpt-5.4-nano", (0.2, 1.25, 0.02, None), (400_000, 128_000)),
    _model("gpt-4.1", (2, 8, 0.5, None), (1_047_576, 32_768)),
    _model("gpt-4.1-mini", (0.4, 1.6, 0.1, None), (1_047_576, 32_768)),
    _model("gpt-4.1-nano", (0.1, 0.4, 0.025, None), (1_047_576, 32_768)),
    _model("gpt-4o", (2.5, 10, 1.25, None), (128_000, 16_384)),
    _model("gpt-4o-mini", (0.15, 0.6, 0.075, None), (128_000, 16_384)),
)

_TOOLS_WITHOUT_THOUGHT = frozenset(
    {"gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-6-sol", "gpt-6-luna", "gpt-6.1-terra"}
)
_BY_NAME = {name: model for model in MODELS for name in (model.name, *model.aliases)}


def find_model(name: str) -> ModelInfo | None:
    """The model of this name, alias or dated snapshot; ``None`` for one that the table does not have."""
    return _BY_NAME.get(name) or _BY_NAME.get(_DATE.sub("", name))


def takes_tools_only_without_thought(name: str) -> bool:
    """Whether a call with tools is refused unless it asks for the reasoning effort ``none``.

    Source: the service's own words, "Function tools with reasoning_effort are not supported for … in
    /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'."
    """
    model = find_model(name)
    return model is not None and model.name in _TOOLS_WITHOUT_THOUGHT


def cost_of(name: str, usage: Usage) -> float | None:
    """US dollars for a call, ``None`` where no price is known or the server did not tell the tokens.

    Where the context holds 1,050,000 tokens, a prompt of more than 272,000 makes the whole call dearer: twice for
    what goes in, one and a half times for what comes out.
    """
    model = find_model(name)
    if model is None or model.prices is None or not (usage.input_tokens or usage.output_tokens):
        return None
    if model.context_tokens < _LARGE or usage.input_tokens <= _LONG_PROMPT:
        return model.prices.cost_of(usage)
    output = usage.output_tokens * model.prices.output / 1_000_000
    return 2 * model.prices.cost_of(usage) - 0.5 * output
