"""A condition: an expression of a plan, read once however many steps and plans have it."""

from __future__ import annotations

from functools import lru_cache

from agentflow_kernel.expression import Expression

_KEPT = 4_096


@lru_cache(maxsize=_KEPT)
def read_condition(text: str) -> Expression:
    """The expression of a text; raises :class:`ExpressionInvalid`."""
    return Expression(text)
