"""A source: a piece of a manifest that is no file of its own, such as what standard input gave."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Source:
    """``text`` is YAML, ``file`` what findings call it, ``folder`` the absolute folder its relative paths start from.

    ``environ`` gives its ``${NAME}``; ``None`` leaves that to the reading.
    """

    __slots__ = ("environ", "file", "folder", "text")

    def __init__(self, text: str, *, file: str, folder: str, environ: Mapping[str, str] | None = None) -> None:
        self.text = text
        self.file = file
        self.folder = folder
        self.environ = environ
