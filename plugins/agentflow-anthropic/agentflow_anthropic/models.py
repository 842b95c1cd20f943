"""Models of the vendor: names, short names, limits and prices, as its public pages give them.

Source: https://platform.claude.com/docs/en/models, the pages of single models and the comparison of the current ones on
them, read through stored copies on 2026-11-21. Prices of the cache follow the vendor's rule for its five minutes: 1.25
times the input to write, a tenth of it to read. Prices of the 4.5 model are of a table of May 2026 by others.
"""

from __future__ import annotations

from agentflow_kernel.contracts.provider import ModelInfo, Prices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.provider import Usage

_AS_OF = "2026-11-21"
_SOURCE = "https://platform.claude.com/docs/en/models"


class TieredPrices(Prices):
    """Prices that are higher, for the whole call, once the prompt holds more than ``limit`` tokens."""

    __slots__ = ("limit", "above")

    def __init__(self, below: Prices, above: Prices, limit: int) -> None:
        super().__init__(
            below.input,
            below.output,
            cached=below.cached,
            cache_write=below.cache_write,
            as_of=below.as_of,
            source=below.source,
        )
        self.limit = limit
        self.above = above

    def cost_of(self, usage: Usage) -> float:
        """US dollars for one call."""
        return self.above.cost_of(usage) if usage.input_tokens > self.limit else super().cost_of(usage)


def _prices(input: float, output: float) -> Prices:
    return Prices(input, output, cached=input / 10, cache_write=input * 1.25, as_of=_AS_OF, source=_SOURCE)


def _model(name: str, prices: Prices, *aliases: str, context: int = 1_000_000, output: int = 128_000) -> ModelInfo:
    return ModelInfo(name, aliases=aliases, context_tokens=context, output_tokens=output, prices=prices)


MODELS = (
    _model("claude-fable-5-1", _prices(10, 50), "fable"),
    _model("claude-opus-5-5", _prices(4, 20), "opus"),
    _model("claude-sonnet-5-5", _prices(2, 10), "sonnet"),
    _model("claude-haiku-5-5", TieredPrices(_prices(0.1, 0.5), _prices(0.5, 2.5), 100_000), "haiku"),
    _model("claude-opus-5", _prices(5, 25)),
    _model("claude-sonnet-5", _prices(2, 10)),
    _model("claude-opus-4-6", _prices(5, 25)),
    _model("claude-sonnet-4-6", _prices(3, 15)),
    _model("claude-haiku-4-5-20251001", _prices(1, 5), "claude-haiku-4-5", context=200_000, output=64_000),
)
"""Every model whose price the vendor's pages tell; the first four are current, the others still offered."""
