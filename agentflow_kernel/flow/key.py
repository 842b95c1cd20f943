"""A state key: one declared key of the shared state, with type, default, reducer and scope."""

from __future__ import annotations

from agentflow_kernel.errors import StateInvalid, UsageError, nearest
from agentflow_kernel.flow.annotation import schema_of
from agentflow_kernel.flow.state import copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Generic, TypeVar

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.flow.reducer import Reduce

    T = TypeVar("T")
else:

    class Generic:
        """Stands in for that of ``typing``, which costs as much as the interpreter's start."""

        __slots__ = ()

        def __class_getitem__(cls, item: object) -> type:
            return cls

    T = None

NOTHING: Any = object()
"""No default: the key is absent until a node writes it."""
SCOPES = ("flow", "run", "node")
PRIVATE = "\x1f"
"""Stands between node and key in the name under which a private value is kept."""


class StateKey(Generic[T]):
    """One key of a flow's state: ``COUNT = StateKey("count", int, default=0)``; ``Flow(…).keeps(COUNT)`` declares it.

    ``type`` is a plain JSON type (``str``, ``list[int]``, ``dict[str, str] | None``) or a pydantic model: such a value
    is kept as JSON, ``get`` gives the model again. ``schema`` is a JSON Schema that says more. Both are checked when a
    visit is complete. ``scope`` is ``flow``: every node of the flow; ``run``: shared with the flows round it and in it
    that declare it, too; ``node``: each node has a value of its own that no other node sees.
    """

    __slots__ = ("name", "type", "default", "reducer", "scope", "schema", "_model")

    def __init__(
        self,
        name: str,
        type: type[T] | None = None,
        *,
        default: T = NOTHING,
        reducer: str | Reduce | None = None,
        scope: str = "flow",
        schema: Mapping[str, JSON] | None = None,
    ) -> None:
        self.name = name
        self.type = type
        self.default = default
        self.reducer = reducer
        """How a written value and the value so far become one, see :data:`~agentflow_kernel.flow.reducer.REDUCERS`."""
        self.scope = scope
        self._model: Any = type if hasattr(type, "model_validate") else None
        self.schema: Any = schema if schema is not None or self._model is not None else _schema_of(type)

    def fresh(self) -> Any:
        """A copy of the default, as JSON; :data:`NOTHING` where there is none."""
        return copied(self.to_json(self.default))

    def to_json(self, value: Any) -> Any:
        """The value as it is kept: a model becomes an object."""
        if self._model is not None and hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
        return value

    def from_json(self, value: Any) -> T:
        """The value as nodes get it."""
        found: T = value if self._model is None or value is None else self._model.model_validate(value)
        return found

    def problem(self, value: Any) -> tuple[str, str] | None:
        """The first thing wrong with a kept value, as JSON pointer and sentence; ``None`` where it fits."""
        problem = None if self.schema is None else _schema_problem(value, self.schema)
        return problem or (None if self._model is None else _model_problem(value, self._model))


class StateRules:
    """What a flow declares about its state. Where it is ``closed``, no other keys may be written."""

    __slots__ = ("keys", "reducers", "closed", "schema", "model")

    def __init__(
        self,
        keys: Mapping[str, StateKey[Any]],
        reducers: Mapping[str, str | Reduce],
        *,
        closed: bool = True,
        schema: Mapping[str, JSON] | None = None,
        model: Any = None,
    ) -> None:
        self.keys = keys
        self.reducers = reducers
        self.closed = closed
        self.schema = schema
        self.model = model

    def slot(self, name: str, node: str) -> str:
        """Under which name ``node`` keeps a key: its own, or one that no other node has."""
        key = self.keys.get(name)
        return name if key is None or key.scope != "node" else f"{node}{PRIVATE}{name}"

    def reducer(self, slot: str) -> str | Reduce | None:
        """The reducer of what is kept under ``slot``, ``None`` where it has none."""
        return self.reducers.get(plain(slot))

    def check(self, values: Mapping[str, object], slots: Iterable[str], node: str, *, whole: bool) -> None:
        """Raise :class:`StateInvalid` where one of the written ``slots``, or the ``whole`` state, does not fit."""
        if self.keys:
            for slot in slots:
                name = plain(slot)
                key = self.keys.get(name)
                if key is None and self.closed:
                    raise StateInvalid(name, node, f"is not declared{_hint(name, self.keys)}")
                problem = key.problem(values[slot]) if key is not None and slot in values else None
                if problem is not None:
                    raise StateInvalid(name, node, problem[1], path=problem[0])
        if whole and (self.schema is not None or self.model is not None):
            self._check_whole(visible(values), node)

    def _check_whole(self, values: Mapping[str, object], node: str) -> None:
        problem = None if self.schema is None else _schema_problem(values, self.schema)
        if problem is None and self.model is not None:
            problem = _model_problem(values, self.model)
        if problem is not None:
            _, _, below = problem[0].partition("/")
            name, slash, rest = below.partition("/")
            raise StateInvalid(name.replace("~1", "/").replace("~0", "~"), node, problem[1], path=slash + rest)


def defaults_of(keys: Mapping[str, StateKey[Any]]) -> dict[str, object]:
    """What the declared keys begin with; private ones have their default only where they are read."""
    fresh = {name: key.fresh() for name, key in keys.items() if key.scope != "node"}
    return {name: value for name, value in fresh.items() if value is not NOTHING}


def plain(slot: str) -> str:
    """The key that is kept under a name."""
    return slot.rpartition(PRIVATE)[2]


def visible(values: Mapping[str, object]) -> dict[str, object]:
    """What is not private to a node."""
    return {slot: value for slot, value in values.items() if PRIVATE not in slot}


def undeclared(key: StateKey[Any], known: Iterable[str]) -> UsageError:
    """The error about a key with a reducer or scope that the flow would not know of."""
    names = ", ".join(map(repr, known)) or "none"
    return UsageError(f"State key {key.name!r} is not declared by this flow (declared: {names}). Add it with .keeps().")


def _hint(name: str, known: Mapping[str, object]) -> str:
    close = nearest(name, known)
    return f"; did you mean {close!r}?" if close else f"; declared are {', '.join(map(repr, known))}"


def _schema_problem(value: Any, schema: Any) -> tuple[str, str] | None:
    from agentflow_kernel.schema import find_problems  # only states with a schema pay

    for text in find_problems(value, schema):
        path, _, problem = text.partition(": ")
        return (path if path.startswith("/") else "", problem)
    return None


def _model_problem(value: Any, model: Any) -> tuple[str, str] | None:
    """The first thing that a pydantic model finds."""
    try:
        model.model_validate(value)
    except ValueError as error:
        found: Any = error
        if not hasattr(found, "errors"):
            return "", str(error)
        first = found.errors()[0]
        parts = (str(part).replace("~", "~0").replace("/", "~1") for part in first["loc"])
        return "".join(f"/{part}" for part in parts), str(first["msg"])
    return None


def _schema_of(given: Any) -> Any:
    return None if given is None else schema_of(given)
