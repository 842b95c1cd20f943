"""A path as a model writes it: relative to the root, forward slashes, checked before anything is opened."""

from __future__ import annotations

from agentflow_kernel.errors import PathRefused

MAX_PATH_BYTES = 4_095
"""Longest path Linux takes, without its closing NUL (`PATH_MAX`)."""

MAX_NAME_BYTES = 255
"""Longest name of one file or folder (`NAME_MAX`)."""

_SHOWN = 200


def split_path(path: str) -> tuple[bytes, ...]:
    """The names on the way from the root, as bytes; none for the root itself (`.`, or nothing).

    The names are never `.`, `..`, empty, too long, and hold neither `/` nor NUL. This alone does not keep a path
    inside: a name can still be a symbolic link.

    Raises :class:`PathRefused` for a path that is absolute, has `..`, NUL or half a character, or is too long.
    """
    try:
        raw = path.encode()
    except UnicodeEncodeError as error:
        raise PathRefused(shown(path), "it is not valid Unicode text.") from error
    if len(raw) > MAX_PATH_BYTES:
        raise PathRefused(shown(path), f"it has {len(raw)} bytes, at most {MAX_PATH_BYTES} are possible.")
    if b"\0" in raw:
        raise PathRefused(shown(path), "it holds a NUL character.")
    if raw.startswith(b"/"):
        raise PathRefused(shown(path), "it is absolute. Give it relative to the root; '.' is the root itself.")
    names = tuple(name for name in raw.split(b"/") if name not in {b"", b"."})
    for name in names:
        if name == b"..":
            raise PathRefused(shown(path), "'..' leads upwards. Name the way from the root; '.' is the root itself.")
        if len(name) > MAX_NAME_BYTES:
            problem = f"a name in it has {len(name)} bytes, at most {MAX_NAME_BYTES} are possible."
            raise PathRefused(shown(path), problem)
    return names


def join_names(names: tuple[bytes, ...]) -> str:
    """The path that these names form, as a model may give it back; `.` for the root itself."""
    return "/".join(map(show_name, names)) or "."


def show_name(name: bytes) -> str:
    r"""A name as text; bytes that are not UTF-8 as ``\xNN``, which cannot be given back as a path."""
    return name.decode(errors="backslashreplace")


def shown(path: str) -> str:
    """A path for a message: at most 200 characters."""
    return path if len(path) <= _SHOWN else path[:_SHOWN] + "…"
