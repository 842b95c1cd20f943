"""PostgreSQL for AgentFlow: a journal that workers on several machines share."""
