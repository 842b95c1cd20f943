"""The hooks: everything a plugin may implement, the table of contents of the framework.

A plugin module holds functions with these names, each marked with :data:`hookimpl`. All hooks are *registration*
hooks: synchronous, without I/O, returning specs whose ``factory`` and ``settings`` are ``module:Name`` strings.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from agentflow_kernel.contracts.plugin import (
        JournalSpec,
        MemorySpec,
        PlannerSpec,
        PolicySpec,
        ProviderSpec,
        SourceSpec,
        ToolsetSpec,
    )

    F = TypeVar("F", bound=Callable[..., Any])

PROJECT = "agentflow"

_IMPL_OPTIONS = {
    "wrapper": False,
    "hookwrapper": False,
    "optionalhook": False,
    "tryfirst": False,
    "trylast": False,
    "specname": None,
}
_SPEC_OPTIONS = {"firstresult": False, "historic": False, "warn_on_impl": None, "warn_on_impl_args": None}


def hookimpl(function: F) -> F:
    """Mark a function as the implementation of the hook of its name; sets pluggy's mark without importing pluggy."""
    function.agentflow_impl = dict(_IMPL_OPTIONS)  # type: ignore[attr-defined]  # pluggy reads the mark from here
    return function


def hookspec(function: F) -> F:
    """Mark a function of this module as a hook."""
    function.agentflow_spec = dict(_SPEC_OPTIONS)  # type: ignore[attr-defined]  # pluggy reads the mark from here
    return function


@hookspec
def agentflow_providers() -> Sequence[ProviderSpec]:  # type: ignore[empty-body]  # a hook has no body
    """Offer language-model providers.

    Called: once, when a manifest or command first names one of its entries.
    Result: all non-None results are concatenated; order is not significant.
    Must: load at most 15 modules and no vendor SDK (name factory and settings as strings).
    Returns: specs with names unique per kernel. `None` means "none on this machine".
    Raises: anything raised disables this plugin only and is reported as PluginLoadError.
    Since: 0.1
    """


@hookspec
def agentflow_tools() -> Sequence[ToolsetSpec]:  # type: ignore[empty-body]  # a hook has no body
    """Offer toolsets.

    Called: once, when a manifest or command first names one of its entries.
    Result: all non-None results are concatenated; order is not significant.
    Must: load at most 15 modules; the tools themselves are listed by the toolset its factory makes.
    Returns: specs with names unique per kernel. `None` means "none on this machine".
    Raises: anything raised disables this plugin only and is reported as PluginLoadError.
    Since: 0.1
    """


@hookspec
def agentflow_memories() -> Sequence[MemorySpec]:  # type: ignore[empty-body]  # a hook has no body
    """Offer memory stores.

    Called: once, when a manifest or command first names one of its entries.
    Result: all non-None results are concatenated; order is not significant.
    Must: load at most 15 modules and no database driver.
    Returns: specs with names unique per kernel. `None` means "none on this machine".
    Raises: anything raised disables this plugin only and is reported as PluginLoadError.
    Since: 0.1
    """


@hookspec
def agentflow_planners() -> Sequence[PlannerSpec]:  # type: ignore[empty-body]  # a hook has no body
    """Offer planners.

    Called: once, when a manifest or command first names one of its entries.
    Result: all non-None results are concatenated; order is not significant.
    Must: load at most 15 modules.
    Returns: specs with names unique per kernel. `None` means "none on this machine".
    Raises: anything raised disables this plugin only and is reported as PluginLoadError.
    Since: 0.1
    """


@hookspec
def agentflow_policies() -> Sequence[PolicySpec]:  # type: ignore[empty-body]  # a hook has no body
    """Offer resilience policies.

    Called: once, when a manifest or command first names one of its entries.
    Result: all non-None results are concatenated; order is not significant.
    Must: load at most 15 modules.
    Returns: specs with names unique per kernel. `None` means "none on this machine".
    Raises: anything raised disables this plugin only and is reported as PluginLoadError.
    Since: 0.1
    """


@hookspec
def agentflow_journals() -> Sequence[JournalSpec]:  # type: ignore[empty-body]  # a hook has no body
    """Offer journals.

    Called: once, when a manifest or command first names one of its entries.
    Result: all non-None results are concatenated; order is not significant.
    Must: load at most 15 modules and no database driver.
    Returns: specs with names unique per kernel. `None` means "none on this machine".
    Raises: anything raised disables this plugin only and is reported as PluginLoadError.
    Since: 0.1
    """


@hookspec
def agentflow_sources() -> Sequence[SourceSpec]:  # type: ignore[empty-body]  # a hook has no body
    """Offer sources of trigger events.

    Called: once, when a manifest or command first names one of its entries.
    Result: all non-None results are concatenated; order is not significant.
    Must: load at most 15 modules.
    Returns: specs with names unique per kernel. `None` means "none on this machine".
    Raises: anything raised disables this plugin only and is reported as PluginLoadError.
    Since: 0.1
    """
