"""A harness: what a plugin's author writes so that the conformance kit can test the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from agentflow_kernel.contracts.journal import Journal


class Harness(Protocol):
    """Names the kind, answers for every capability, lists known deviations, and opens fresh subjects."""

    kind: ClassVar[str]
    """``provider``, ``tool``, ``memory``, ``planner``, ``policy``, ``bus``, ``journal`` or ``source``."""
    declared: ClassVar[Mapping[str, bool]]
    """Every capability of the kind; ``False`` means that using it raises :class:`Unsupported`."""
    known_deviations: ClassVar[Mapping[str, str]]
    """Requirement id → reason; a deviation that is not there any more is a failure."""

    def open(self) -> AbstractAsyncContextManager[object]:
        """A fresh subject, closed at the end."""
        ...


class StoreHarness(Protocol):
    """Optional ability of a journal's harness, with the capability ``durable``: find the same store again."""

    def place(self, journal: Journal) -> str:
        """Where a journal of :meth:`Harness.open` keeps its store, as a text that another process understands."""
        ...

    def attach(self, place: str) -> AbstractAsyncContextManager[Journal]:
        """Another journal on the store at ``place``, closed at the end; in this process or in another one.

        The store outlives the journals that were opened on it until the subject of :meth:`Harness.open` has ended.
        """
        ...


class DamageHarness(Protocol):
    """Optional ability of a journal's harness, declared as ``damage``: spoil what is stored, as a bad disk would.

    No journal is open on the store meanwhile. Both block.
    """

    def damage_record(self, place: str, run_id: str, seq: int) -> None:
        """Change one byte inside one record."""
        ...

    def damage_blob(self, place: str, ref: str) -> None:
        """Change one byte inside one blob."""
        ...
