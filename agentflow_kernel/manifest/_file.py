"""A file: the text of one manifest file, refused by size before it is read and by encoding before it is parsed."""

from __future__ import annotations

import os
import stat

from agentflow_kernel.errors import nearest
from agentflow_kernel.manifest._wording import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.manifest._findings import Findings

MAX_BYTES = 4 * 1024 * 1024
"""Size of one manifest file."""
MAX_BYTES_IN_ALL = 16 * 1024 * 1024
"""Size of all files of one reading."""

_ENDINGS = (".yaml", ".yml")


def files_of(path: str, findings: Findings) -> list[str]:
    """The manifest files a path stands for: itself, or those directly in the folder, sorted by name.

    A folder's hidden files are passed over. Nothing suitable is a finding.
    """
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return [path]
        names = [name for name in os.listdir(path) if name.endswith(_ENDINGS) and not name.startswith(".")]
    except (OSError, ValueError) as exc:
        findings.add(_reason(exc), path, hint=_neighbour(path) if isinstance(exc, FileNotFoundError) else "")
        return []
    if not names:
        findings.add("The folder holds no manifest.", path, hint="Expected files that end in '.yaml' or '.yml'.")
    return [os.path.join(path, name) for name in sorted(names)]


def text_of(file: str, bytes_left: int, findings: Findings) -> tuple[str | None, int]:
    """The text of a file without its byte order mark, and its size; ``None`` after adding a finding."""
    try:
        content = _read(file, min(MAX_BYTES, bytes_left), findings)
    except (OSError, ValueError) as exc:
        findings.add(_reason(exc), file)
        return None, 0
    if content is None:
        return None, 0
    try:
        return content.decode().removeprefix("\ufeff"), len(content)
    except UnicodeDecodeError as exc:
        begin = content.rfind(b"\n", 0, exc.start) + 1
        place = (content.count(b"\n", 0, exc.start) + 1, len(content[begin : exc.start].decode()) + 1)
        problem = f"The file is not UTF-8: byte 0x{content[exc.start]:02x} at offset {exc.start}."
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "It looks like UTF-16. Save it as UTF-8." if utf16 else "Save it as UTF-8."
        findings.add(problem, file, place, hint=hint)
        return None, len(content)


def _read(file: str, limit: int, findings: Findings) -> bytes | None:
    """At most ``limit`` bytes; a pipe or device is neither waited for nor read."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            findings.add("This is not a plain file.", file)
            return None
        content = b""
        if status.st_size <= limit:
            with open(descriptor, "rb", closefd=False) as stream:
                content = stream.read(limit + 1)
        size = max(status.st_size, len(content))
        if size <= limit:
            return content
    finally:
        os.close(descriptor)
    if size > MAX_BYTES:
        findings.add(f"The file has {size:,} bytes; a manifest file may have {MAX_BYTES:,}.", file, hint="Split it.")
    else:
        problem = f"With this file the manifest has more than {MAX_BYTES_IN_ALL:,} bytes in all."
        findings.add(problem, file, hint="Split the folder.")
    return None


def _reason(exc: Exception) -> str:
    if isinstance(exc, FileNotFoundError):
        return "There is no such file or folder."
    if isinstance(exc, OSError) and exc.strerror:
        return f"It cannot be read: {exc.strerror}."
    return "This cannot be the name of a file."  # a NUL in it, or half a surrogate pair


def _neighbour(path: str) -> str:
    """A suggestion from the names beside a path that does not exist."""
    folder, name = os.path.split(path)
    try:
        close = nearest(name, os.listdir(folder or "."))
    except OSError:
        return ""
    return f"Did you mean {shown(os.path.join(folder, close))}?" if close else ""
