"""An event: what a session takes from its queues, and which descriptors match its name."""

from __future__ import annotations

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from agentflow_kernel.contracts.values import JSON

    EventType = Literal["internal", "external", "platform"]

PROCESSOR = "http://www.w3.org/TR/scxml/#SCXMLEventProcessor"
"""The name of the one event processor: events between sessions of one machine."""


class Event(Value):
    """Something that happened. ``data`` is JSON and never changed in place.

    ``type``: ``external`` from outside and by ``send``, ``internal`` by ``raise``, ``platform`` for errors, ``done.*``
    of states and ``after``. ``origin`` is where an answer goes to, ``invoke_id`` the invocation that it comes from.
    """

    __slots__ = ("name", "data", "type", "send_id", "origin", "invoke_id")

    def __init__(
        self,
        name: str,
        data: JSON = None,
        type: EventType = "external",
        *,
        send_id: str | None = None,
        origin: str | None = None,
        invoke_id: str | None = None,
    ) -> None:
        self.name = name
        self.data = data
        self.type = type
        self.send_id = send_id
        self.origin = origin
        self.invoke_id = invoke_id

    def to_json(self) -> dict[str, JSON]:
        """Everything that is set."""
        fields = {name: getattr(self, name) for name in Event.__slots__}
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_json(cls, document: Mapping[str, JSON]) -> Event:
        """The event that :meth:`to_json` wrote."""
        fields = {name: document.get(name) for name in Event.__slots__}
        return cls(
            fields.pop("name"),  # type: ignore[arg-type]  # written by to_json
            fields.pop("data"),
            fields.pop("type"),  # type: ignore[arg-type]
            **fields,  # type: ignore[arg-type]
        )

    def to_scope(self) -> dict[str, JSON]:
        """The event as expressions see it under ``_event``; what is not set is null."""
        return {
            "name": self.name,
            "type": self.type,
            "sendid": self.send_id,
            "origin": self.origin,
            "origintype": PROCESSOR if self.origin is not None else None,
            "invokeid": self.invoke_id,
            "data": self.data,
        }


def plain_descriptors(text: str | Sequence[str]) -> tuple[str, ...]:
    """The event descriptors of a transition without the ``.`` or ``.*`` that may end them.

    Raises :class:`ValueError` for one that is no dotted name.
    """
    words = text.split() if isinstance(text, str) else [word for item in text for word in item.split()]
    found: dict[str, None] = {}
    for word in words:
        name = "*" if word == ".*" else word
        while name.endswith((".*", ".")):
            name = name[: -2 if name.endswith(".*") else -1]
        if name != "*" and (not name or "*" in name or not all(name.split("."))):
            raise ValueError(word)
        found[name] = None
    if not found:
        raise ValueError(str(text))
    return tuple(found)


def prefixes(name: str) -> list[str]:
    """The descriptors that match an event name: ``a.b`` gives ``a``, ``a.b`` and ``*``."""
    found = ["*", name]
    at = name.find(".")
    while at >= 0:
        found.append(name[:at])
        at = name.find(".", at + 1)
    return found
