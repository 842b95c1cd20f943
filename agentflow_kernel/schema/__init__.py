"""Schemas: values checked against the part of JSON Schema 2020-12 that tools, flows and models are described with."""

from __future__ import annotations

from agentflow_kernel.schema._sound import find_schema_problems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.schema._check import find_problems
    from agentflow_kernel.schema._values import read_strictly, same, write_compactly

__all__ = ("find_problems", "find_schema_problems", "read_strictly", "same", "write_compactly")

_MODULES = {"find_problems": "_check", "read_strictly": "_values", "same": "_values", "write_compactly": "_values"}
"""Where names are found that are loaded when they are first used: who only reads a schema checks no value."""


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    loaded = __import__(f"{__name__}.{module}", fromlist=(name,))
    value = globals()[name] = getattr(loaded, name)
    return value
