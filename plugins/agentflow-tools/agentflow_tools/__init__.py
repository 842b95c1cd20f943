"""Toolsets for AgentFlow agents: `files` reads, lists and searches below one root folder and never leaves it."""
