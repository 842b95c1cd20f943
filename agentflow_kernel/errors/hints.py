"""A hint: what an error message says to help, the nearest name or the command that installs a plugin."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``name``, or ``None`` when none is close (similarity below 0.6)."""
    import difflib  # lazy: 4 ms, only on the way to an error

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


_OWN = {
    "agentflow-anthropic": ("provider:anthropic",),
    "agentflow-leveldb": ("journal:leveldb",),
    "agentflow-openai": ("provider:openai",),
    "agentflow-planner-bt": ("planner:bt",),
    "agentflow-planner-fsm": ("planner:fsm",),
    "agentflow-planner-llm": tuple(
        f"planner:{name}" for name in ("adapt", "compiler", "dag", "plan-and-execute", "reflexion", "rewoo", "tools")
    ),
    "agentflow-postgres": ("journal:postgres",),
    "agentflow-resilience": ("policy:retry", "policy:timeout"),
    "agentflow-sources": ("source:cron", "source:file", "source:folder", "source:stdin"),
    "agentflow-specs": ("command:certify",),
    "agentflow-sqlite": ("journal:sqlite", "memory:sqlite"),
    "agentflow-tools": ("tool:files",),
}
"""Which distribution brings which of the project's own plugins, for the line that installs it."""


def pip_line(kind: str, name: str) -> str:
    """The command that installs a plugin: the project's own by their table, others by the convention of names."""
    distribution = next((dist for dist, offers in _OWN.items() if f"{kind}:{name}" in offers), f"agentflow-{name}")
    return f"pip install {distribution}"
