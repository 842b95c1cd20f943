"""Makes the flows beside the tests importable: test folders are no packages."""

from __future__ import annotations

import sys
from pathlib import Path

import structlog  # noqa: F401 -- the first warning of the engine would import it on the event loop, which counts as blocking

sys.path.insert(0, str(Path(__file__).parent))
