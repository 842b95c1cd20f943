"""The start: nothing beyond `sys` is imported before it is known that more than the version is asked for."""

import sys

__version__ = "0.1.0"
"""A constant, so that nobody has to read metadata; a test compares it with the metadata."""


def main() -> int:
    """The exit code of the command line in `sys.argv`."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        try:
            print(f"agentflow {__version__}", flush=True)
        except OSError:
            from agentflow_cli.terminal import hush  # lazy: 10 ms, only when nobody reads

            hush(sys.stdout)
        return 0
    from agentflow_cli.app import leave, run  # lazy: 60 ms, the version needs nothing of it

    return leave(run(sys.argv[1:]))
