"""A distribution: what is installed under one name, seen from outside: metadata, files, entry points, registration."""

from __future__ import annotations

import email
import importlib.util
import os
import sys
from contextlib import asynccontextmanager
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from agentflow_kernel.loading import KINDS, Catalogue
from agentflow_kernel.settings import Settings, normalise
from agentflow_specs.registration import Registration, register

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from email.message import Message

    from agentflow_kernel.loading import Broken, Entry

OBJECTS: Final = frozenset(("command", "harness"))
"""Kinds whose entry points name an object that is none of a plugin module."""


class Distribution:
    """An installed distribution; ``folders`` are where it is looked for, by default those of ``sys.path``.

    Raises:
        LookupError: none of that name offers a plugin.
    """

    def __init__(self, name: str, folders: Sequence[str] | None = None) -> None:
        self.name = normalise(name)
        self.path = [folder for folder in [*(folders or ()), *sys.path] if folder]
        catalogue = Catalogue(Settings(), self.path)
        self.others: Sequence[Entry] = [one for one in catalogue.entries() if one.distribution != self.name]
        self.entries: Sequence[Entry] = [one for one in catalogue.entries() if one.distribution == self.name]
        self.broken: Sequence[Broken] = [one for one in catalogue.broken() if one.distribution == self.name]
        if not self.plugins and not self.broken:
            offering = sorted({one.distribution for one in self.others if one.kind not in OBJECTS}) or ["none"]
            raise LookupError(
                f"No installed distribution {self.name!r} offers a plugin. Those that do: {', '.join(offering)}."
            )

    @property
    def plugins(self) -> Sequence[Entry]:
        """The entry points that name plugin modules."""
        return [entry for entry in self.entries if entry.kind not in OBJECTS]

    @property
    def harnesses(self) -> Sequence[Entry]:
        """The entry points that name harnesses."""
        return [entry for entry in self.entries if entry.kind == "harness"]

    @cached_property
    def info(self) -> metadata.Distribution:
        """The metadata as the standard library reads it."""
        found = [*self.plugins, *self.entries]
        return metadata.Distribution.at(found[0].location) if found else metadata.distribution(self.name)

    @cached_property
    def head(self) -> Message:
        """The fields of METADATA; its body is the README."""
        return email.message_from_string(self.info.read_text("METADATA") or "")

    @property
    def readme(self) -> str:
        """The description, as Markdown."""
        return str(self.head.get_payload() or self.head.get("Description") or "")

    @cached_property
    def packages(self) -> Mapping[str, Path]:
        """The top-level packages of its plugins, with their folders; an editable one is where its link leads."""
        found = {}
        for name in sorted({entry.value.partition(":")[0].partition(".")[0] for entry in self.plugins}):
            beside = Path(self.plugins[0].location).parent / name
            spec = None if beside.is_dir() else importlib.util.find_spec(name)
            places = list(spec.submodule_search_locations or ()) if spec else []
            if beside.is_dir() or places:
                found[name] = beside if beside.is_dir() else Path(places[0])
        return found

    @property
    def sources(self) -> Iterable[Path]:
        """The Python files of its packages."""
        return [path for folder in self.packages.values() for path in sorted(folder.rglob("*.py"))]

    @cached_property
    def registrations(self) -> Sequence[Registration]:
        """What happened when each plugin module was registered, in a process each; done once."""
        groups_of = {kind: group for group, kind in KINDS.items()}
        wanted: dict[str, dict[str, list[str]]] = {}
        for entry in self.plugins:
            wanted.setdefault(entry.value, {}).setdefault(groups_of[entry.kind], []).append(entry.name)
        return [register(value, groups, self.path) for value, groups in wanted.items()]

    def folder_of_records(self) -> str:
        """Where its files are installed."""
        return os.path.dirname(self.plugins[0].location)


class DistributionHarness:
    """The harness of any distribution: nothing but its name is asked for."""

    kind: ClassVar[str] = "plugin"
    known_deviations: ClassVar[Mapping[str, str]] = {}
    event_loops: ClassVar[Sequence[str]] = ("asyncio",)

    def __init__(self, name: str, folders: Sequence[str] | None = None) -> None:
        self.distribution = Distribution(name, folders)
        self.declared: Mapping[str, bool] = {"harness": bool(self.distribution.harnesses)}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Distribution]:
        """The distribution; there is nothing to close."""
        yield self.distribution
