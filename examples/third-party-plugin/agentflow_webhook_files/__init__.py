"""A source for AgentFlow: webhook deliveries that were stored as JSON files."""
