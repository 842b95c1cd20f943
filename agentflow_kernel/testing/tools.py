"""A toolset made of functions, for tests and for tools that need no settings."""

from __future__ import annotations

from agentflow_kernel.contracts.tool import Tool, ToolOutcome
from agentflow_kernel.errors import UnknownName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agentflow_kernel.contracts.tool import Effect, ToolContext
    from agentflow_kernel.contracts.values import JSON

    ToolFunction = Callable[[Mapping[str, JSON]], Awaitable[JSON]]
    Check = Callable[[str], Awaitable[ToolOutcome]]


class FunctionToolset:
    """Tools added one by one with :meth:`add`; ``calls`` holds every call as ``(name, arguments, context)``."""

    def __init__(self) -> None:
        self._tools: dict[str, tuple[Tool, ToolFunction]] = {}
        self._checks: dict[str, Check] = {}
        self.calls: list[tuple[str, Mapping[str, JSON], ToolContext]] = []

    def add(
        self,
        name: str,
        function: ToolFunction,
        *,
        description: str = "",
        parameters: Mapping[str, JSON] | None = None,
        effect: Effect = "pure",
        check: Check | None = None,
    ) -> None:
        """Offer ``function`` as a tool; without ``parameters`` it takes any object.

        ``check`` says by the key of a call whether it has happened.
        """
        if check is not None:
            self._checks[name] = check
        schema = parameters if parameters is not None else {"type": "object"}
        self._tools[name] = (Tool(name, description or name, schema, effect=effect), function)

    def tools(self) -> Sequence[Tool]:
        """The tools added so far, in order."""
        return [tool for tool, _ in self._tools.values()]

    async def call(self, name: str, arguments: Mapping[str, JSON], context: ToolContext) -> JSON:
        """Remember the call, then call the function."""
        if name not in self._tools:
            raise UnknownName("tool", name, self._tools)
        self.calls.append((name, arguments, context))
        return await self._tools[name][1](arguments)

    async def check(self, name: str, arguments: Mapping[str, JSON], context: ToolContext) -> ToolOutcome:
        """What the check of the tool says; ``maybe`` where it has none."""
        check = self._checks.get(name)
        return ToolOutcome("maybe") if check is None else await check(context.key)

    async def aclose(self) -> None:
        """There is nothing to give back."""
