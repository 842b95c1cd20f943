"""A journal for AgentFlow in LevelDB: for one process that works on many runs."""
