"""A collector: how often Python looks for cycles of garbage while many runs wait."""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 10, 10)
"""Python's own are (700, 10, 10)."""


def relax() -> None:
    """Let the garbage collector of this process look 70 times less often; for programs that hold many runs at once.

    A waiting run is about 40 objects, none of them garbage. Looking at those of 10,000 runs again and again takes as
    much time as running them. The price is garbage in cycles that stays a little longer, a few MiB. The command line
    calls this; the kernel does not, because the process belongs to whoever embeds it. A collector that was set by hand
    or switched off stays as it is.
    """
    if gc.isenabled() and gc.get_threshold()[0] in {700, 2000}:  # 2000: from Python 3.13 on
        gc.set_threshold(*THRESHOLDS)
