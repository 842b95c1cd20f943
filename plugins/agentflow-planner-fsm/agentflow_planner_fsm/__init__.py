"""A planner that follows statecharts: `fsm` runs the chart of a document by the rules of W3C SCXML."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_planner_fsm.machine import Machine

_MODULES = {
    "Machine": "machine",
}

__all__ = ("Machine",)


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
    return value


def __dir__() -> list[str]:
    return list(__all__)
