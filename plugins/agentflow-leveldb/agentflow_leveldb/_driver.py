"""The driver: plyvel, loaded when a store is first opened, or the error that says how to get it."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from agentflow_kernel.errors import StorageUnavailable, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.errors import Executed


def load_driver() -> Any:
    """The module ``plyvel``; raises :class:`Unsupported` where it is not installed."""
    try:
        return importlib.import_module("plyvel")
    except ImportError as error:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Unsupported(
            "The journal 'leveldb'",
            f"plyvel is not installed for Python {here}. With Python 3.12 or older: pip install plyvel. There is no "
            "wheel of it for newer ones: install LevelDB with its headers (Debian: libleveldb-dev), then "
            "pip install plyvel; or use the journal 'sqlite'.",
        ) from error


def is_damage(error: BaseException) -> bool:
    """Whether LevelDB says that what is on the disk is not what was written."""
    return type(error).__name__ == "CorruptionError" or "orruption" in str(error)


def to_fault(error: BaseException, path: str, executed: Executed = "no") -> StorageUnavailable:
    """The typed error for what happened to the folder at ``path``, with the advice what to do."""
    text = error.args[0] if error.args else ""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(error)
    if "/LOCK:" in text:
        advice = (
            "Another journal has it open: one process works on a LevelDB store at a time. End that one, or use the "
            "journal 'sqlite', which several processes share."
        )
    elif "No space left" in text:
        advice = "The disk is full: free some space, then try again."
    elif is_damage(error):
        advice = "It is damaged: open it again to have it verified."
    else:
        advice = "Check the disk, the folder and its permissions, then try again."
    return StorageUnavailable(f"Storage {path!r} is not available. {advice} [{text}]", executed=executed)
