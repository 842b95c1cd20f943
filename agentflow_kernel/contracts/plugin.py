"""A plugin spec: what a registration hook returns about one named thing it offers; all strings, nothing imported."""

from __future__ import annotations

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from agentflow_kernel.contracts.clock import Clock

API_VERSION = 1
"""The plugin API this kernel speaks; a spec with another ``api_version`` is refused by name."""


class PluginSpec(Value):
    """One named entry of a plugin. ``factory`` and ``settings`` are ``module:Name`` strings, resolved on first use.

    ``factory(settings, context)`` makes the object of the contract: ``settings`` is an instance of the settings
    model (``None`` where the plugin declares none), ``context`` a :class:`PluginContext`. It must not block and
    not open connections; those wait for the first call. ``settings`` names a pydantic model that forbids extra fields.
    """

    __slots__ = ("name", "factory", "settings", "capabilities", "summary", "api_version")

    def __init__(
        self,
        name: str,
        factory: str,
        settings: str | None = None,
        *,
        capabilities: Sequence[str] = (),
        summary: str = "",
        api_version: int = API_VERSION,
    ) -> None:
        self.name = name
        self.factory = factory
        self.settings = settings
        self.capabilities = tuple(capabilities)
        self.summary = summary
        self.api_version = api_version


class ProviderSpec(PluginSpec):
    """Offers a language-model provider; the factory makes a :class:`~agentflow_kernel.contracts.provider.Provider`.

    ``models`` is a ``module:Name`` string of the models that it knows: a sequence of
    :class:`~agentflow_kernel.contracts.provider.ModelInfo`, ``None`` where it ships no table.
    """

    __slots__ = ("models",)

    def __init__(
        self,
        name: str,
        factory: str,
        settings: str | None = None,
        *,
        models: str | None = None,
        capabilities: Sequence[str] = (),
        summary: str = "",
        api_version: int = API_VERSION,
    ) -> None:
        super().__init__(name, factory, settings, capabilities=capabilities, summary=summary, api_version=api_version)
        self.models = models


class ToolsetSpec(PluginSpec):
    """Offers a toolset; the factory makes a :class:`~agentflow_kernel.contracts.tool.Toolset`."""

    __slots__ = ()


class MemorySpec(PluginSpec):
    """Offers a memory store; the factory makes a :class:`~agentflow_kernel.contracts.memory.Memory`."""

    __slots__ = ()


class PlannerSpec(PluginSpec):
    """Offers a planner; the factory makes a :class:`~agentflow_kernel.contracts.planner.Planner`."""

    __slots__ = ()


class PolicySpec(PluginSpec):
    """Offers a policy; the factory makes a :class:`~agentflow_kernel.contracts.policy.Policy`."""

    __slots__ = ()


class JournalSpec(PluginSpec):
    """Offers a journal; the factory makes a :class:`~agentflow_kernel.contracts.journal.Journal`."""

    __slots__ = ()


class SourceSpec(PluginSpec):
    """Offers a source of trigger events; the factory makes a :class:`~agentflow_kernel.contracts.source.Source`."""

    __slots__ = ()


class PluginContext:
    """What a factory may rely on: where it lives, the clock and the random source it must use.

    ``name`` is the resource's name in the manifest, ``folder`` the manifest's folder (relative paths in settings are
    relative to it), ``state_folder`` the state folder or ``None`` when nothing is to be kept on disk, ``emit`` takes
    the name and fields of a progress event (``emit("retry.scheduled", {...})``) and never blocks.
    """

    __slots__ = ("name", "folder", "state_folder", "clock", "random", "emit")

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        random: Random,
        folder: str = ".",
        state_folder: str | None = None,
        emit: Callable[[str, dict[str, object]], None] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.state_folder = state_folder
        self.clock = clock
        self.random = random
        self.emit = emit if emit is not None else _nobody_listens


def _nobody_listens(name: str, fields: dict[str, object]) -> None:
    """The default ``emit``."""
