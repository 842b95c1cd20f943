"""A fork: several branches of one flow at a time, and the join that waits for them."""

from __future__ import annotations

from agentflow_kernel.errors import UsageError
from agentflow_kernel.flow.condition import Condition
from agentflow_kernel.flow.marking import options_of
from agentflow_kernel.flow.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.values import JSON

WORKERS = 16
"""Branches at work at a time unless the fork says otherwise: measured, more workers make small branches no faster."""


_OF_NODES = ("routes", "when", "max_visits", "fan_out", "join")
"""Options of nodes that branches cannot have."""


class Branch:
    """What one branch does, where it is more than a function: ``Branch(work, input=…, only_if="value > 1")``.

    Options are those of :class:`Step` but for those that say where a node leads, and ``max_visits``. With ``only_if``
    the branch is started only if that condition over ``value`` (the fork's input), ``input``, ``state`` and
    ``<node>.result`` holds.
    """

    __slots__ = ("target", "options", "only_if")

    def __init__(self, target: object, *, only_if: str | None = None, **options: object) -> None:
        self.target = target
        self.options = options
        self.only_if = only_if


class Parallel:
    """A step that forks: each branch is a node or flow of its own; the result is an object, branch name → result.

    ``join`` says what it waits for: ``all`` branches; ``any`` one; so many (a number, or ``{"n_of_m": 2}``); or
    ``"or"``: all those that were started, where branches have conditions. With ``any`` and a number, branches that
    fail are left out as long as enough can still come; else the first failure cancels and awaits the others. What is
    still at work when the join has enough is cancelled, or awaited and ignored with ``rest="wait"``.

    All branches read the state as it was at the fork. Their writes take effect together at the join, in the order in
    which the branches are declared, through the flow's reducers.
    """

    __slots__ = ("steps", "conditions", "join", "rest", "concurrency")

    def __init__(
        self,
        branches: Mapping[str, object],
        *,
        join: str | int | Mapping[str, object] = "all",
        rest: str = "cancel",
        concurrency: int = WORKERS,
    ) -> None:
        self.steps: dict[str, Step] = {}
        self.conditions: dict[str, Condition] = {}
        for name, target in branches.items():
            branch = target if isinstance(target, Branch) else Branch(target)
            marked = options_of(branch.target, but=("name", *_OF_NODES))
            for option in _OF_NODES:
                if option in branch.options:
                    raise UsageError(f"Branch {name!r} cannot have {option!r}: a branch leads to its join. Use a flow.")
            self.steps[name] = Step(name, branch.target, **{**marked, **branch.options})
            if branch.only_if is not None:
                self.conditions[name] = Condition(branch.only_if, "value")
        self.join: object = join.get("n_of_m", join.get("kind")) if isinstance(join, dict) else join
        self.rest = rest
        """What becomes of branches that the join does not need any more: ``cancel`` or ``wait``."""
        self.concurrency = concurrency

    @property
    def early(self) -> bool:
        """Whether the join may be complete before all its branches have ended."""
        return self.join not in ("all", "or")

    def needed(self, started: int) -> int:
        """How many of the started branches must complete."""
        if isinstance(self.join, int):
            return self.join
        return {"all": len(self.steps), "any": 1}.get(str(self.join), started)


class Goto:
    """One branch of a dynamic fan-out: a node returns a list of these, and its result is the list of theirs."""

    __slots__ = ("node", "input")

    def __init__(self, node: str, input: object = None) -> None:
        self.node = node
        self.input = input


class Spread:
    """The :class:`Goto` items that one visit returned, with the action to take after their join."""

    __slots__ = ("gotos", "action")

    def __init__(self, gotos: Sequence[Goto], action: str) -> None:
        self.gotos = gotos
        self.action = action

    def to_json(self) -> list[list[object]]:
        """Node and input of each, as the journal keeps them."""
        return [[goto.node, goto.input] for goto in self.gotos]

    @classmethod
    def from_json(cls, items: Sequence[Sequence[JSON]], action: str) -> Spread:
        """The inverse of :meth:`to_json`."""
        return cls([Goto(str(node), value) for node, value in items], action)
