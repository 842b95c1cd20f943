"""A harness: what a plugin's author writes so that the conformance kit can test the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager


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
