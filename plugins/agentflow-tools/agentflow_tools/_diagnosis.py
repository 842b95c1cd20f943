"""A diagnosis: what an error of the operating system means to the one who asked for a path, and what to do."""

from __future__ import annotations

import errno

from agentflow_kernel.errors import PathRefused, StorageUnavailable, ToolFailed
from agentflow_tools._path import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

_REFUSED = {
    errno.EXDEV: "it leads out of the root through a symbolic link.",
    errno.ELOOP: "it passes a symbolic link that is not followed: a circle, a link of /proc, or links are off here.",
    errno.EAGAIN: "the folders on its way keep being moved.",
    errno.ENAMETOOLONG: "it is too long.",
    errno.ENXIO: "it is a socket or a device, not a plain file.",
    errno.ENODEV: "it is a device, not a plain file.",
}
_KINDS = {
    0o020000: "a device",
    0o060000: "a device",
    0o010000: "a named pipe",
    0o140000: "a socket",
    0o120000: "a symbolic link, which is not followed here",
}


def diagnose(error: OSError, path: str, advice: str = "") -> Exception:
    """The error to raise for `path`; `advice` says what is there instead.

    :class:`PathRefused` for a way out of the root, :class:`ToolFailed` for what is missing or may not be read,
    :class:`StorageUnavailable` (not executed) when the machine is at fault, so that another attempt may help.
    """
    name = repr(shown(path))
    match error.errno:
        case errno.ENOENT:
            return ToolFailed(f"There is no {name} below the root. {advice or 'Call list to see what there is.'}")
        case errno.ENOTDIR:
            return ToolFailed(f"{name} passes a file as if it were a folder. Call list to see what there is.")
        case errno.EACCES | errno.EPERM:
            return ToolFailed(f"{name} may not be read: permission denied. Use another file or ask for permission.")
        case number if number in _REFUSED:
            return PathRefused(shown(path), _REFUSED[number])
    return StorageUnavailable(f"{name} could not be read: {error.strerror or error}.", executed="no")


def refuse_special(status: os.stat_result, path: str) -> None:
    """Let plain files and folders pass; raise :class:`PathRefused` for devices, pipes, sockets and links."""
    kind = _KINDS.get(status.st_mode & 0o170000)
    if kind is not None:
        raise PathRefused(shown(path), f"it is {kind}, not a plain file.")
