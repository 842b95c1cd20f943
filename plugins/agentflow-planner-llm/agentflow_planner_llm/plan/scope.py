"""A scope: what a plan may name and what it may use, as its owner allows it."""

from __future__ import annotations

from fnmatch import fnmatchcase

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Literal

    from agentflow_kernel.contracts.tool import Tool
    from agentflow_planner_llm.plan.document import PlanLimits

    Author = Literal["person", "model"]


class Grants(Value):
    """Who may do what: patterns of tool names such as ``files.*``.

    ``denied`` tools exist but were not granted; ``approved`` ones run only after a person has agreed, which needs
    ``approver``. The results of ``trusted`` tools, and with ``trust_input`` the input, may reach trusted parameters.
    """

    __slots__ = ("denied", "approved", "approver", "trusted", "trust_input")

    def __init__(
        self,
        *,
        denied: Sequence[str] = (),
        approved: Sequence[str] = (),
        approver: bool = True,
        trusted: Sequence[str] = (),
        trust_input: bool = False,
    ) -> None:
        self.denied = denied
        self.approved = approved
        self.approver = approver
        self.trusted = trusted
        self.trust_input = trust_input


class Scope(Value):
    """What a plan is checked against. ``author`` is who wrote it: a model's word on effects is not taken.

    ``None`` for tools, agents, flows or plans means that nobody knows which there are, so that any may be named.
    ``replans`` says whether anybody makes a new plan where a step asks for one. ``facts`` are the ids of steps that
    were done in earlier versions of the plan: they may be referred to.
    """

    __slots__ = ("tools", "known", "agents", "flows", "plans", "limits", "grants", "author", "replans", "facts")

    def __init__(
        self,
        tools: Mapping[str, Tool] | None,
        *,
        agents: Collection[str] | None = (),
        flows: Collection[str] | None = (),
        plans: Collection[str] | None = (),
        limits: PlanLimits | None = None,
        grants: Grants | None = None,
        author: Author = "person",
        replans: bool = False,
        facts: Collection[str] = (),
    ) -> None:
        self.known = tools is not None
        self.tools: Mapping[str, Tool] = {} if tools is None else tools
        self.agents = agents
        self.flows = flows
        self.plans = plans
        self.limits = limits
        self.grants = grants if grants is not None else Grants()
        self.author = author
        self.replans = replans
        self.facts = facts


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name fits one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
