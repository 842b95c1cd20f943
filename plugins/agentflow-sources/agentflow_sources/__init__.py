"""Event sources for AgentFlow: what the outside world did, as events that a trigger can start a run from."""
