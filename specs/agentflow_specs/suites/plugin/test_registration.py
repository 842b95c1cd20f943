"""The registration: a plugin is imported and asked what it offers, and nothing else happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel.loading.doctor import MODULE_LIMIT
from agentflow_specs.requirement import requirement

if TYPE_CHECKING:
    from agentflow_specs.distribution import Distribution
    from agentflow_specs.registration import Registration

HOOKLESS = {"bus", "sandbox", "resource"}
"""Kinds that have no hook: their entry points are loaded and not asked."""


def registered(distribution: Distribution) -> list[Registration]:
    """The registrations, each of which has come to its end."""
    assert distribution.registrations
    assert [f"{found.value}: {found.problem}" for found in distribution.registrations if found.problem] == []
    return list(distribution.registrations)


@requirement(
    "PLUGIN-10",
    "MUST",
    reason="What metadata promises and no hook delivers fails when a manifest names it, which is late.",
    advice="Return one spec for each entry point from the hook of its group, of the class of its kind.",
)
def test_every_entry_point_is_offered_once(distribution: Distribution) -> None:
    """Can be imported, and its hooks offer each of its entry points once and nothing beside them."""
    offered = sorted((spec["kind"], spec["name"]) for found in registered(distribution) for spec in found.specs)
    assert offered == sorted((entry.kind, entry.name) for entry in distribution.plugins if entry.kind not in HOOKLESS)
    wrong = [spec["class"] for found in distribution.registrations for spec in found.specs if not _fits(spec)]
    assert wrong == []


def _fits(spec: object) -> bool:
    """Whether a spec is of the class for its kind: ToolsetSpec, and else the kind's name."""
    kind, name = str(spec["kind"]), str(spec["class"])  # type: ignore[index]  # JSON of the watch
    return name == ("ToolsetSpec" if kind == "tool" else f"{kind.capitalize()}Spec")


@requirement(
    "PLUGIN-11",
    "MUST",
    reason="A kernel registers several plugins at each start; what they load is time that every command takes.",
    advice="Import in the plugin module only hookimpl and the spec, and name factory and settings as texts.",
)
def test_registration_loads_few_modules(distribution: Distribution) -> None:
    """Adds at most 15 modules to a process when it is imported and asked."""
    for found in registered(distribution):
        names = ", ".join(found.modules[:30])
        assert len(found.modules) <= MODULE_LIMIT, f"{found.value} loads {len(found.modules)}: {names}"


@requirement(
    "PLUGIN-12",
    "MUST",
    reason="A library of a vendor takes up to a second to load, and may be broken where it is not used at all.",
    advice="Import it in the module of the factory, or in the first call.",
)
def test_registration_loads_no_library(distribution: Distribution) -> None:
    """Loads no library when it is imported and asked: nothing but itself, the kernel and the standard library."""
    assert {found.value: found.libraries for found in registered(distribution) if found.libraries} == {}


@requirement(
    "PLUGIN-13",
    "MUST",
    reason="Plugins are registered to be listed and checked; whoever does that wants nothing to be started.",
    advice="Open and start in the first call of the object that the factory makes, never in a module.",
)
def test_registration_opens_and_starts_nothing(distribution: Distribution) -> None:
    """Starts no thread and no process, opens no socket and no file when it is imported and asked."""
    assert {found.value: found.heard for found in registered(distribution) if found.heard} == {}


@requirement(
    "PLUGIN-14",
    "MUST",
    reason="Environment, signals, logging and the like belong to the program; a plugin is a guest in it.",
    advice="Take what you need from the context or the settings; set nothing that others see.",
)
def test_registration_changes_nothing_of_the_process(distribution: Distribution) -> None:
    """Leaves environment, signal handlers, logging, warnings, paths, hooks and all else of the process as they are."""
    assert {found.value: found.changed for found in registered(distribution) if found.changed} == {}


@requirement(
    "PLUGIN-15",
    "MUST",
    reason="The kernel calls hooks where nothing can be awaited; a coroutine would never run.",
    advice="Write hooks as plain functions; what has to wait belongs to the object that the factory makes.",
)
def test_hooks_are_synchronous(distribution: Distribution) -> None:
    """Has only synchronous hooks."""
    found = {one.value: one.asynchronous for one in distribution.registrations if one.asynchronous}
    assert found == {}
    registered(distribution)


@requirement(
    "PLUGIN-16",
    "MUST",
    reason="Listing, checking and running ask in turn; they must not see three different plugins.",
    advice="Return constants; look at the machine in the factory.",
)
def test_hooks_say_the_same_each_time(distribution: Distribution) -> None:
    """Says the same whenever it is asked."""
    assert [found.value for found in registered(distribution) if not found.steady] == []


@requirement(
    "PLUGIN-17",
    "MUST",
    reason="The list of plugins is where people choose; a name alone tells them little.",
    advice="Give each spec a summary of one line that says what it is for.",
)
def test_every_plugin_is_summed_up(distribution: Distribution) -> None:
    """Sums up each plugin in one line of at most 120 characters."""
    specs = [spec for found in registered(distribution) for spec in found.specs]
    wrong = {spec["name"]: spec["summary"] for spec in specs if not _is_line(str(spec["summary"] or ""))}
    assert wrong == {}


def _is_line(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and len(text) <= 120
