"""SQLite for AgentFlow: the journal of durable runs and a key-value memory whose entries can expire."""
