"""Installed models: what the providers that may be imported know of their models, with prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from agentflow_cli.listing import price
from agentflow_cli.terminal import answer_only, one_line, say
from agentflow_kernel.errors import AgentFlowError
from agentflow_kernel.loading import Catalogue, Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel.contracts.plugin import ProviderSpec
    from agentflow_kernel.contracts.provider import ModelInfo


class KnownModels:
    """What providers know of the models that resources name; a provider is imported when first asked about."""

    def __init__(self, shared: Shared) -> None:
        self._plugins = Plugins(Catalogue(shared.settings()))
        self._tables: dict[str, tuple[str, Sequence[ModelInfo]]] = {}
        self._for_people = shared.for_people

    def find(self, spec: Mapping[str, Any]) -> ModelInfo | None:
        """The entry of a resource's model in the table of its provider, if it has one."""
        provider = spec.get("plugin")
        if not isinstance(provider, str):
            return None
        if provider not in self._tables:
            with answer_only(for_people=self._for_people):
                self._tables[provider] = self._table(provider)
        default, table = self._tables[provider]
        name = spec.get("model") or spec.get("with", {}).get("model") or default
        return next((info for info in table if name in (info.name, *info.aliases)), None)

    def _table(self, provider: str) -> tuple[str, Sequence[ModelInfo]]:
        """The provider's default model and its table; empty, and said why, where it cannot be imported."""
        try:
            spec = cast("ProviderSpec", self._plugins.spec("provider", provider))
            table = [] if spec.models is None else cast("Sequence[ModelInfo]", self._plugins.resolve(spec.models))
            settings = None if spec.settings is None else self._plugins.resolve(spec.settings)
        except AgentFlowError as error:
            say(f"note: {one_line(str(error))}")
            return "", []
        field = getattr(settings, "model_fields", {}).get("model")
        return str(getattr(field, "default", "")), table


class InstalledModel:
    """One model of one provider."""

    __slots__ = ("info", "provider")

    def __init__(self, provider: str, info: ModelInfo) -> None:
        self.provider = provider
        self.info = info

    def as_document(self) -> dict[str, Any]:
        """The model as JSON; prices in US dollars per million tokens, `null` where not known."""
        return {"name": self.info.name, "provider": self.provider, **figures(self.info)}


def figures(info: ModelInfo) -> dict[str, Any]:
    """What is known of a model beside its name, as JSON."""
    names = ("input", "output", "cached", "cache_write", "as_of", "source")
    return {
        "aliases": list(info.aliases),
        "context_tokens": info.context_tokens or None,
        "output_tokens": info.output_tokens or None,
        "prices": None if info.prices is None else {name: getattr(info.prices, name) for name in names},
    }


def find(shared: Shared) -> list[InstalledModel]:
    """The models of all admitted providers; one that is broken is named on standard error and passed over."""
    catalogue = Catalogue(shared.settings())
    plugins, found = Plugins(catalogue), []
    with answer_only(for_people=shared.for_people):
        for entry in catalogue.entries("provider"):
            if not entry.admitted:
                continue
            try:
                reference = cast("ProviderSpec", plugins.spec("provider", entry.name)).models
                table = [] if reference is None else cast("Sequence[ModelInfo]", plugins.resolve(reference))
                found += [InstalledModel(entry.name, info) for info in table]
            except AgentFlowError as error:
                say(f"note: {one_line(str(error))}")
    return found


def headings_of() -> tuple[str, ...]:
    """The columns of the list."""
    return ("NAME", "PROVIDER", "ALIASES", "CONTEXT", "IN $/M", "OUT $/M", "CACHED $/M", "AS OF", "SOURCE")


def row_of(model: InstalledModel) -> tuple[str, ...]:
    """The cells of one model."""
    info, prices = model.info, model.info.prices
    context = f"{info.context_tokens:,}" if info.context_tokens else ""
    head = (info.name, model.provider, ", ".join(info.aliases), context)
    if prices is None:
        return (*head, "", "", "", "", "")
    amounts = (price(prices.input), price(prices.output), price(prices.cached))
    return (*head, *amounts, prices.as_of, prices.source)
