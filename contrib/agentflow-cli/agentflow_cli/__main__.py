"""`python -m agentflow_cli`: the same as the `agentflow` script."""

from __future__ import annotations

import sys

from agentflow_cli import main

if __name__ == "__main__":
    sys.exit(main())
