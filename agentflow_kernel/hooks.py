"""The hooks as typed methods: the façade over pluggy, and the only room that calls it."""

from __future__ import annotations

import os
import sys

from agentflow_kernel import hookspecs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import pluggy

    from agentflow_kernel.contracts.plugin import (
        JournalSpec,
        MemorySpec,
        PlannerSpec,
        PolicySpec,
        ProviderSpec,
        SourceSpec,
        ToolsetSpec,
    )


class Hooks:
    """The registered plugins. Made at the first plugin, for it imports pluggy.

    With ``AGENTFLOW_TRACE_HOOKS=1`` every registration and call is written to standard error.
    """

    __slots__ = ("_manager",)

    def __init__(self) -> None:
        import pluggy  # lazy: 17 ms, at the first plugin

        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        if os.environ.get("AGENTFLOW_TRACE_HOOKS") == "1":
            self._manager.trace.root.setwriter(_to_stderr)
            self._manager.enable_tracing()

    def register(self, name: str, plugin: object) -> None:
        """Take in a plugin under a name of its own, once; one that breaks a hook's signature stays outside.

        Raises:
            pluggy.PluginValidationError: an implementation has arguments that its hook does not have, or no hook
                of its name exists.
        """
        if self._manager.is_registered(plugin):
            return
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
        except BaseException:
            if self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
            raise

    def of(self, plugin: object) -> PluginHooks:
        """The hooks of one registered plugin; no other is called."""
        return PluginHooks(self._manager, plugin)


class PluginHooks:
    """Every hook of :mod:`~agentflow_kernel.hookspecs`, called on one plugin; empty where it does not implement it."""

    __slots__ = ("_manager", "_others")

    def __init__(self, manager: pluggy.PluginManager, plugin: object) -> None:
        self._manager = manager
        self._others = [other for other in manager.get_plugins() if other is not plugin]

    def agentflow_providers(self) -> Sequence[ProviderSpec]:
        """Language-model providers."""
        return self._call("agentflow_providers")

    def agentflow_tools(self) -> Sequence[ToolsetSpec]:
        """Toolsets."""
        return self._call("agentflow_tools")

    def agentflow_memories(self) -> Sequence[MemorySpec]:
        """Memory stores."""
        return self._call("agentflow_memories")

    def agentflow_planners(self) -> Sequence[PlannerSpec]:
        """Planners."""
        return self._call("agentflow_planners")

    def agentflow_policies(self) -> Sequence[PolicySpec]:
        """Resilience policies."""
        return self._call("agentflow_policies")

    def agentflow_journals(self) -> Sequence[JournalSpec]:
        """Journals."""
        return self._call("agentflow_journals")

    def agentflow_sources(self) -> Sequence[SourceSpec]:
        """Sources of trigger events."""
        return self._call("agentflow_sources")

    def _call(self, hook: str) -> list[Any]:
        """All results of one hook in one list; what the implementation raises comes through as it is."""
        caller = self._manager.subset_hook_caller(hook, self._others)
        return [spec for specs in caller() for spec in specs]


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
