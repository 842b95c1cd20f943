"""Policies for AgentFlow calls: layers that retry a call or end it in time."""
