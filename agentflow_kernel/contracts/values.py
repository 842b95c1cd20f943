"""A value: a small immutable record with slots, equality and a readable form, shared by all contracts."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol as Protocol  # noqa: PLC0414 -- the contracts take it from here
    from typing import overload as overload  # noqa: PLC0414 -- typed state takes it from here

    JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]

else:
    Protocol = object  # ``typing`` costs as much as a bare interpreter's start; nothing asks at run time

    def overload(function: object) -> object:
        """The function; only type checkers look at it."""
        return function


class Value:
    """Base of hand-written ``__slots__`` records: compared by content, shown by content, immutable by contract.

    Cheaper to create than a frozen dataclass (0.35 against 2.4 µs) and to define (0.01 against 1 ms).
    """

    __slots__: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    """The names of all slots, those of the base classes first."""

    def __init_subclass__(cls) -> None:
        cls.content = (*cls.content, *cls.__slots__)

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.content)

    __hash__ = None  # type: ignore[assignment]  # holds JSON, which cannot be hashed

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.content)
        return f"{type(self).__name__}({inner})"
