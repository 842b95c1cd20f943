"""The `agentflow` command; `main` is the console script."""

from agentflow_cli._start import __version__, main

__all__ = ("__version__", "main")
