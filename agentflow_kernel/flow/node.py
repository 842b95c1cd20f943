"""A node: one place in a graph where something is done in three phases, and the route its result takes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from agentflow_kernel.flow.key import StateKey
    from agentflow_kernel.flow.state import StateView

DEFAULT = "default"
"""The action that is taken when a node names none."""

END = "end"
"""In ``routes``: the flow ends here."""


REFUSED = "refused"
"""The action of a node whose approval was refused or has expired; taken only where it is routed."""

ELAPSED = "elapsed"
"""The action of an ask or wait that nobody answered in time; taken only where it is routed."""


JOINED = "@join"
"""The action of a node that has chosen several ways, once they have come together."""


class Route:
    """A node's result together with the action that chooses the next node: ``return Route("reject", reasons)``.

    A list of actions chooses all of their ways, side by side; the node's ``join`` says where they come together.
    """

    __slots__ = ("action", "value")

    def __init__(self, action: str | Sequence[str], value: object = None) -> None:
        self.action: Any = action
        self.value = value


class Node:
    """A node with three phases; subclass it where a plain function is too little.

    One object serves many visits and runs at once: keep nothing of a visit on ``self``. Writes to ``shared`` in
    ``prep`` and ``post`` take effect together when the visit is complete; a failed visit leaves none.
    """

    reads: Sequence[str | StateKey[Any]] = ()
    """Keys of the state that it needs: that somebody writes them is checked before the run."""
    writes: Sequence[str | StateKey[Any]] | None = None
    """All the keys of the state that it may write; ``None``: it may write any."""

    async def prep(self, shared: StateView, value: Any) -> Any:
        """Prepare the input of :meth:`exec`; ``value`` is the node's resolved input. Default: ``value`` itself."""
        return value

    async def exec(self, prepared: Any) -> Any:
        """Do the work, without access to the state; policies stand round this phase. Default: ``prepared`` itself.

        Each attempt gets what :meth:`prep` gave, and :meth:`post` what the one that succeeded made of it.
        """
        return prepared

    async def exec_fallback(self, prepared: Any, error: Exception) -> Any:
        """The result in place of an :meth:`exec` that has failed, after all retries; default: the error itself.

        A cancellation never comes here, nor do errors that end or park the run.
        """
        raise error

    async def post(self, shared: StateView, prepared: Any, result: Any) -> str | Sequence[str] | None:
        """Store results and choose the action; ``None`` is ``"default"``, a list chooses several ways."""
        return None
