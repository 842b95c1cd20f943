"""An agent's memory as tools: the agent recalls and remembers by name, and a repeated step repeats no write."""

from __future__ import annotations

from agentflow_kernel.contracts.tool import Tool
from agentflow_kernel.errors import AskModelAgain, UnknownName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.memory import Memory
    from agentflow_kernel.contracts.tool import ToolContext
    from agentflow_kernel.contracts.values import JSON

_KEY: dict[str, JSON] = {"type": "string", "minLength": 1, "maxLength": 512}

RECALL = Tool(
    "recall",
    "Look up what was remembered under a key. Gives the value, or null when there is none.",
    {"type": "object", "properties": {"key": _KEY}, "required": ["key"], "additionalProperties": False},
    effect="pure",
)
REMEMBER = Tool(
    "remember",
    "Remember a text under a key for later runs, in place of what was there.",
    {
        "type": "object",
        "properties": {"key": _KEY, "text": {"type": "string"}},
        "required": ["key", "text"],
        "additionalProperties": False,
    },
    effect="idempotent",
)


class MemoryToolset:
    """The tools ``recall`` and ``remember`` over one memory. What an agent writes is apart from what flows write."""

    def __init__(self, name: str, memory: Memory, ttl_s: float | None = None) -> None:
        self._namespace = f"{name}/agent"
        self._memory = memory
        self._ttl_s = ttl_s

    def tools(self) -> Sequence[Tool]:
        """The two tools."""
        return (RECALL, REMEMBER)

    async def call(self, name: str, arguments: Mapping[str, JSON], context: ToolContext) -> JSON:
        """Look up or write one entry."""
        key = str(arguments["key"])
        if not key or len(key) > 512:
            raise AskModelAgain(f"A key has 1 to 512 characters; this one has {len(key)}.")
        if name == "recall":
            entry = await self._memory.get(self._namespace, key)
            return {"value": None if entry is None else entry.value}
        if name == "remember":
            await self._memory.put(
                self._namespace, key, arguments["text"], ttl_s=self._ttl_s, write_key=context.key or None
            )
            return {"remembered": key}
        raise UnknownName("tool", name, ("recall", "remember"))

    async def aclose(self) -> None:
        """The memory belongs to the kernel, which closes it."""
