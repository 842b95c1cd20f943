"""The making: factories, settings, and what objects that were made leave behind."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import anyio

from agentflow_specs._target import resolve_harness
from agentflow_specs.leaks import find_leaks
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.plugin.abilities import harnesses_of
from agentflow_specs.suites.plugin.test_registration import registered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.testing import Harness
    from agentflow_specs.distribution import Distribution

SCALARS = (str, bytes, int, float, bool, type(None))
CONTAINERS = (list, dict, set, bytearray)


@requirement(
    "PLUGIN-20",
    "MUST",
    reason="A reference that leads nowhere is found out by the first run that needs it.",
    advice="Name a function or class as module:Name that takes settings and context and gives the object itself.",
)
def test_factories_can_be_called(distribution: Distribution) -> None:
    """Names for each plugin a factory that is there, is synchronous, and takes settings and context."""
    resolved = [one for found in registered(distribution) for one in found.resolved]
    assert len(resolved) == sum(len(found.specs) for found in distribution.registrations)
    assert {one["name"]: one["problem"] for one in resolved if one["problem"]} == {}


@requirement(
    "PLUGIN-21",
    "MUST",
    reason="A setting that is misspelt and silently ignored is looked for in every other place first.",
    advice='Name a pydantic model with model_config = ConfigDict(extra="forbid"), and its inner models so, too.',
)
def test_settings_refuse_what_they_do_not_know(distribution: Distribution) -> None:
    """Names for each plugin with settings a pydantic model that is there and refuses unknown fields."""
    settings = [one for found in registered(distribution) for one in found.settings]
    assert {one["name"]: one["problem"] for one in settings if one["problem"]} == {}


@requirement(
    "PLUGIN-22",
    "MUST",
    reason="Schemas, completion and help are made from the model; a field without a word helps nobody.",
    advice="Write a text below each field (use_attribute_docstrings=True) or Field(description=...), with its unit.",
)
def test_every_setting_is_described(distribution: Distribution) -> None:
    """Describes every field of its settings models."""
    settings = [one for found in registered(distribution) for one in found.settings]
    assert {one["name"]: one["undescribed"] for one in settings if one["undescribed"]} == {}


@requirement(
    "PLUGIN-23",
    "SHOULD",
    reason="People look for a setting in the README, with its unit and its default.",
    advice="Give the README a table of all settings.",
)
def test_the_readme_names_every_setting(distribution: Distribution) -> None:
    """Names every setting in its README."""
    fields = {name for found in registered(distribution) for one in found.settings for name in one["fields"]}
    text = distribution.readme
    assert sorted(name for name in fields if not re.search(rf"`{name}\b", text)) == []


@requirement(
    "PLUGIN-30",
    "MUST",
    needs="harness",
    reason="A program that makes and closes kernels for months must not run out of threads, files or processes.",
    advice="Close in aclose what was opened, also where it was never used.",
)
def test_what_is_opened_is_closed(distribution: Distribution) -> None:
    """Leaves no task, thread, open file, socket or child process when what its harnesses open was closed."""

    async def use(subject: object) -> None:
        del subject

    for target in harnesses_of(distribution).values():
        harness = resolve_harness(target)
        for loop in loops_of(harness):
            assert find_leaks(harness, use, loop) == [], target


@requirement(
    "PLUGIN-31",
    "MUST",
    needs="harness",
    reason="What is kept in a module outlives every kernel, and one run sees what another has left there.",
    advice="Keep it in the object that the factory makes.",
)
def test_modules_are_left_as_they_were(distribution: Distribution) -> None:
    """Keeps nothing in its modules and classes: they are after the second opening as they were after the first."""
    for target in harnesses_of(distribution).values():
        harness = resolve_harness(target)
        loop = loops_of(harness)[0]
        open_and_close(harness, loop)
        before = state_of(distribution.packages)
        for _ in range(2):
            open_and_close(harness, loop)
        after = state_of(distribution.packages)
        assert sorted(name for name, value in after.items() if before.get(name, value) != value) == [], target


@requirement(
    "PLUGIN-32",
    "SHOULD",
    reason="A plugin without a harness is one of which nobody knows what it does with a cancelled call or a full disk.",
    advice='Write a harness and name it in [project.entry-points."agentflow.harnesses"] as "<kind>.<plugin>".',
)
def test_every_plugin_has_its_harness(distribution: Distribution) -> None:
    """Offers a harness for each of its plugins."""
    names = {entry.name for entry in distribution.harnesses}
    assert sorted({f"{entry.kind}.{entry.name}" for entry in distribution.plugins} - names) == []


def loops_of(harness: Harness) -> list[str]:
    """The event loops that a harness is for."""
    return list(getattr(harness, "event_loops", ("asyncio", "trio")))


def open_and_close(harness: Harness, loop: str) -> None:
    """Open a subject and close it."""

    async def once() -> None:
        async with harness.open():
            pass

    anyio.run(once, backend=loop)


def state_of(packages: Mapping[str, object]) -> dict[str, tuple[object, ...]]:
    """What the modules of packages hold, and the classes in them: which object, how large, or which value."""
    found: dict[str, tuple[object, ...]] = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in packages:
            continue
        for key, value in list(vars(module).items()):
            if key.startswith("__"):
                continue
            found[f"{name}.{key}"] = _trace(value)
            if isinstance(value, type) and value.__module__ == name:
                inner = {inside: one for inside, one in vars(value).items() if not inside.startswith(("_abc", "__"))}
                found |= {f"{name}.{key}.{inside}": _trace(one) for inside, one in inner.items()}
    return found


def _trace(value: Any) -> tuple[object, ...]:
    if isinstance(value, SCALARS):
        return ("value", value)
    return ("object", id(value), len(value) if isinstance(value, CONTAINERS) else 0)
