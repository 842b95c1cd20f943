"""Triggers of a manifest: a source that goes on from its cursor, and events that are heard on the bus."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from flows.case import Case, paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.case import World

MANIFEST = str(Path(__file__).parent / "manifests" / "orders.yaml")
_WORLD: ContextVar[World] = ContextVar("world")


@contextmanager
def in_world(world: World) -> Iterator[None]:
    """Code of a manifest has its effects in this world meanwhile."""
    token = _WORLD.set(world)
    try:
        yield
    finally:
        _WORLD.reset(token)


def world() -> World:
    """The world of the process at work."""
    return _WORLD.get()


CASES = (
    Case("fired", lambda _: None, output=4, effects=paths("check ship"), manifest=MANIFEST),
    Case(
        "heard", lambda _: None, {"n": 1}, output=1, effects=paths("check ship"), manifest=MANIFEST,
        event="order.placed",
    ),
)  # fmt: skip
