"""Optimisation: passes that make a plan cheaper or quicker and keep what it gives."""

from agentflow_planner_llm.optimisation.passes import PASSES, optimise

__all__ = ("PASSES", "optimise")
