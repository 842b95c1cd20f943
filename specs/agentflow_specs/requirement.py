"""A requirement: one numbered thing that every plugin of a kind has to do, with its reason and its test."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

Level = Literal["MUST", "SHOULD"]
Test = TypeVar("Test", bound="Callable[..., Any]")

SUITES: Final = "agentflow_specs.suites"
MARK: Final = "requirement"


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What is asked of every plugin of a kind."""

    id: str
    """``JOURNAL-01``: the kind and a number; it never changes and is never given to another requirement."""
    level: Level
    """A ``MUST`` may not be deviated from by a plugin that is certified; a ``SHOULD`` may, for a reason."""
    statement: str
    """What the plugin does: the first line of the test's docstring."""
    reason: str
    """Why anybody needs that."""
    advice: str
    """Where to look when it fails."""
    needs: str = ""
    """The capability without which the plugin must raise :class:`Unsupported` instead."""


def requirement(
    id: str,
    level: Level,
    *,
    reason: str,
    advice: str,
    needs: str = "",
) -> Callable[[Test], Test]:
    """The test it decorates asks for a requirement; its docstring says what the plugin has to do."""

    def decorate(test: Test) -> Test:
        statement = (inspect.getdoc(test) or "").partition("\n\n")[0].replace("\n", " ")
        found = Requirement(id=id, level=level, statement=statement, reason=reason, advice=advice, needs=needs)
        return cast("Test", getattr(pytest.mark, MARK)(found)(test))

    return decorate


def requirement_of(item: pytest.Item) -> Requirement | None:
    """What a collected test asks for."""
    mark = item.get_closest_marker(MARK)
    return None if mark is None else cast("Requirement", mark.args[0])


def kinds() -> list[str]:
    """The kinds for which there is a suite: the folders of :mod:`agentflow_specs.suites`."""
    package = importlib.import_module(SUITES)
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)


def capabilities_of(kind: str) -> dict[str, str]:
    """Each capability that a harness of the kind declares, and what it means.

    The contract of the kind may name those of the plugin; the suite adds what it needs of the harness.
    """
    contract = importlib.import_module(f"agentflow_kernel.contracts.{kind}")
    suite = importlib.import_module(f"{SUITES}.{kind}.abilities")
    return {**getattr(contract, "CAPABILITIES", {}), **suite.ABILITIES}


def requirements_of(kind: str) -> list[Requirement]:
    """The requirements of a kind in the order of their numbers; the suite's modules are imported."""
    package = importlib.import_module(f"{SUITES}.{kind}")
    found: list[Requirement] = []
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("test_"):
            tests = vars(importlib.import_module(f"{package.__name__}.{module.name}")).values()
            marks = [mark for test in tests for mark in getattr(test, "pytestmark", []) if mark.name == MARK]
            found += [mark.args[0] for mark in marks]
    return sorted(found, key=lambda asked: asked.id)
