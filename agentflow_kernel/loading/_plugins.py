"""The plugins: imported one by one when they are first named, checked, and asked for what they make."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import (
    API_VERSION,
    JournalSpec,
    MemorySpec,
    PlannerSpec,
    PluginSpec,
    PolicySpec,
    ProviderSpec,
    SourceSpec,
    ToolsetSpec,
)
from agentflow_kernel.errors import AgentFlowError, NotAllowed, UnknownPlugin, Unsupported
from agentflow_kernel.hooks import Hooks
from agentflow_kernel.loading._isolation import Isolation, failure, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.errors import InputInvalid
    from agentflow_kernel.loading._catalogue import Catalogue, Entry

SUPPORTED_API_VERSIONS = frozenset((API_VERSION,))

_HOOKS: dict[str, tuple[str, type[PluginSpec]]] = {
    "provider": ("agentflow_providers", ProviderSpec),
    "tool": ("agentflow_tools", ToolsetSpec),
    "memory": ("agentflow_memories", MemorySpec),
    "planner": ("agentflow_planners", PlannerSpec),
    "policy": ("agentflow_policies", PolicySpec),
    "journal": ("agentflow_journals", JournalSpec),
    "source": ("agentflow_sources", SourceSpec),
}


class Plugins:
    """The plugins of a catalogue, in use. Naming one imports its module and no other; each is imported once.

    Every method that names a plugin raises, beside what it lists itself:
    :class:`UnknownPlugin` (not installed; carries the installed names and the pip line), :class:`NotAllowed`
    (installed, not admitted; says which line to add), :class:`PluginLoadError` (it failed; carries its distribution,
    version and cause) and :class:`UsageError` (two distributions offer it). One that failed is not tried again.
    """

    __slots__ = ("catalogue", "_hooks", "_targets", "_offers", "_specs", "_failed")

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._hooks: Hooks | None = None
        self._targets: dict[str, object] = {}
        self._offers: dict[tuple[str, str], Sequence[object]] = {}
        self._specs: dict[tuple[str, str], PluginSpec] = {}
        self._failed: dict[str, str] = {}

    def spec(self, kind: str, name: str) -> PluginSpec:
        """What a plugin says about one of its entries.

        Raises:
            Unsupported: plugins of this kind return no specs; see :meth:`load`.
        """
        known = self._specs.get((kind, name))
        if known is None:
            entry = self._entry(kind, name)
            if kind not in _HOOKS:
                raise Unsupported(f"A spec of the {kind} {name!r}", "plugins of this kind have no hook")
            offered = self._offered(entry)
            with Isolation(entry, "in its specs", passing=(AgentFlowError,)):
                known = self._specs[kind, name] = _chosen(entry, offered)
        return known

    def load(self, kind: str, name: str) -> object:
        """What an entry point names, imported: a command's function, a harness, a plugin module."""
        return self._target(self._entry(kind, name))

    def make(
        self,
        kind: str,
        name: str,
        with_: Mapping[str, JSON],
        context: PluginContext,
        *,
        on_setting_error: Callable[[Sequence[InputInvalid]], Exception] | None = None,
    ) -> object:
        """The object of the contract, made by the plugin's factory from settings and context.

        ``on_setting_error`` turns the findings about ``with_`` into the exception to raise; without it the first
        is raised. Errors of ours that the factory raises come through, all others become :class:`PluginLoadError`.

        Raises:
            InputInvalid: ``with_`` breaks the plugin's settings model.
        """
        spec, entry = self.spec(kind, name), self._entry(kind, name)
        settings, findings = self._settings(entry, spec, with_)
        if findings:
            raise findings[0] if on_setting_error is None else on_setting_error(findings)
        stage = f"in its factory {spec.factory!r}"
        with Isolation(entry, stage):
            factory = resolve(spec.factory)
        if not callable(factory):
            raise failure(entry, f"its factory {spec.factory!r} cannot be called")
        with Isolation(entry, stage, passing=(AgentFlowError,)):
            made: object = factory(settings, context)
        if made is None or hasattr(made, "__await__"):
            if hasattr(made, "close"):
                made.close()  # a coroutine that nobody will await
            raise failure(entry, f"its factory {spec.factory!r} gave {type(made).__name__}, not the object itself")
        return made

    def check(self, kind: str, name: str, with_: Mapping[str, JSON]) -> Sequence[InputInvalid]:
        """What is wrong with the settings in a manifest; empty when nothing is. Makes nothing."""
        spec = self.spec(kind, name)
        return self._settings(self._entry(kind, name), spec, with_)[1]

    def resolve(self, reference: str) -> object:
        """What ``module:Name`` names, imported on behalf of the plugin whose package holds it.

        Raises:
            PluginLoadError: it cannot be imported or is not there.
        """
        package = reference.partition(":")[0].partition(".")[0]
        for entry in self.catalogue.entries():
            if entry.admitted and entry.value.partition(":")[0].partition(".")[0] == package:
                with Isolation(entry, f"in {reference!r}"):
                    return resolve(reference)
        return resolve(reference)

    def _entry(self, kind: str, name: str) -> Entry:
        """The entry of a plugin that may be imported and has not failed before."""
        entry = self.catalogue.find(kind, name)
        if entry is None:
            raise UnknownPlugin(kind, name, self.catalogue.names(kind))
        if not entry.admitted:
            raise _not_allowed(entry, entry.why_not)
        cause = self._failed.get(entry.value)
        if cause is not None:
            raise failure(entry, cause)
        return entry

    def _target(self, entry: Entry) -> object:
        """The module or object behind an entry, imported now or before."""
        target = self._targets.get(entry.value)
        if target is None:
            changed = self.catalogue.changed(entry)
            if changed:
                raise _not_allowed(entry, changed)
            with Isolation(entry, "at import", self._failed):
                target = self._targets[entry.value] = resolve(entry.value)
        return target

    def _offered(self, entry: Entry) -> Sequence[object]:
        """What a plugin returns from the hook for an entry's kind; the hook is called once."""
        hook = _HOOKS[entry.kind][0]
        offered = self._offers.get((entry.value, hook))
        if offered is None:
            target = self._target(entry)
            self._hooks = hooks = self._hooks or Hooks()
            with Isolation(entry, "at registration", self._failed):
                hooks.register(entry.value, target)
            with Isolation(entry, f"in its hook {hook}", self._failed):
                offered = self._offers[entry.value, hook] = getattr(hooks.of(target), hook)()
        return offered

    def _settings(
        self, entry: Entry, spec: PluginSpec, with_: Mapping[str, JSON]
    ) -> tuple[object, Sequence[InputInvalid]]:
        """The settings object for ``with_``, and what is wrong with ``with_``."""
        from agentflow_kernel.loading._validation import unwanted, validated  # lazy: only where settings are

        what = f"Settings of the {entry.kind} {entry.name!r}"
        if spec.settings is None:
            return None, unwanted(what, with_)
        with Isolation(entry, f"in its settings {spec.settings!r}"):
            return validated(what, resolve(spec.settings), with_)


def _chosen(entry: Entry, offered: Sequence[object]) -> PluginSpec:
    """The spec of an entry among what its plugin offers, if it is one that this kernel can use."""
    hook, wanted = _HOOKS[entry.kind]
    chosen: list[PluginSpec] = []
    for spec in offered:
        version = getattr(spec, "api_version", API_VERSION)
        if getattr(spec, "name", None) == entry.name and version not in tuple(SUPPORTED_API_VERSIONS):
            supported = ", ".join(map(str, sorted(SUPPORTED_API_VERSIONS)))
            raise failure(entry, f"it speaks plugin API version {version!r}; this kernel supports {{{supported}}}")
        if not isinstance(spec, wanted):
            raise failure(entry, f"its hook {hook} gave {type(spec).__name__}, not {wanted.__name__}")
        if spec.name == entry.name:
            chosen.append(spec)
    if len(chosen) != 1:
        names = ", ".join(repr(spec.name) for spec in offered if isinstance(spec, wanted)) or "nothing"
        often = "more than once" if chosen else "not at all"
        raise failure(entry, f"its hook {hook} offers {entry.name!r} {often}; it offers {names}")
    return chosen[0]


def _not_allowed(entry: Entry, reason: str) -> NotAllowed:
    place = f"{entry.kind} {entry.name!r} of {entry.distribution} {entry.version}"
    return NotAllowed(f"The {place} is installed but not admitted: {reason}")
