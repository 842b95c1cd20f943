"""A marking: options of a step that stand at its function or class and hold wherever that becomes a step."""

from __future__ import annotations

from agentflow_kernel.contracts.values import overload
from agentflow_kernel.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any, TypeVar, Unpack

    from agentflow_kernel.flow.step import StepOptions

    T = TypeVar("T")

_MARK = "__agentflow_step__"


@overload
def node(target: T, /) -> T: ...
@overload
def node(*, name: str | None = None, **options: Unpack[StepOptions]) -> Callable[[T], T]: ...
def node(target: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Give a function or a :class:`Node` class the options of :class:`Step` that it has wherever it becomes a step.

    ``@node(effect="effect", policies=[retry])`` changes nothing about the function itself. What a flow says of its
    step goes before; in a manifest, which says its ways itself, ``routes``, ``when``, ``join`` and ``fan_out`` do not
    count. Raises :class:`UsageError` for an option that a step does not have.
    """
    from agentflow_kernel.flow.step import Step  # here, because a step asks for markings

    unknown = [option for option in options if option not in Step.__slots__ or option == "target"]
    if unknown:
        raise UsageError(f"A node has no option {', '.join(map(repr, unknown))}; it has those of Step.")
    marks = options if name is None else {"name": name, **options}

    def mark(target: Any) -> Any:
        setattr(target, _MARK, marks)
        return target

    return mark if target is None else mark(target)


def options_of(target: object, *, but: Collection[str] = ("name",)) -> dict[str, Any]:
    """The options that stand at a function, a class or an object of it, without some of them."""
    marks: dict[str, Any] = getattr(target, _MARK, None) or {}
    return {option: value for option, value in marks.items() if option not in but}


def name_of(target: object) -> str:
    """The name of the step that a target becomes: the marked one, else that of the function or flow."""
    marked = options_of(target, but=()).get("name")
    return str(marked or getattr(target, "__name__", None) or getattr(target, "name", type(target).__name__))
