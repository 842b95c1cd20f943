"""Code: an object in a Python file below the manifest's folder, written ``./nodes.py:parse``.

Here only the text and the place are checked; whether the code may run is decided where it is loaded.
"""

from __future__ import annotations

import os

from agentflow_kernel.manifest._wording import shown

FORM = "code below the manifest's folder, written './file.py:Name'"


def split(uses: str) -> tuple[str, str]:
    """The relative path and the object's name of ``./nodes.py:parse``.

    Raises:
        ValueError: the text has another form; the message says what is wrong with it.
    """
    path, colon, name = uses.partition(":")
    problem = form_problem(path)
    if problem:
        raise ValueError(problem)
    if not path.endswith(".py") or path.endswith("/.py"):
        raise ValueError("the file is no '.py' file")
    if not colon or not name.isidentifier():
        raise ValueError("no ':' and name of a function or class follow the file")
    return path, name


def form_problem(path: str) -> str:
    """What is wrong with the form of a relative path such as ``./nodes.py``, or nothing."""
    parts = path.split("/")
    if not path.startswith("./"):
        return "it does not begin with './'"
    if ".." in parts:
        return "'..' would leave the manifest's folder"
    if "\\" in path or any(ord(character) < 32 for character in path) or "" in parts or "." in parts[1:]:
        return "the path is not in its plain form"
    return ""


class CodeFolder:
    """The folder below which a manifest's code lies; each file is looked at once."""

    __slots__ = ("_problems", "_root", "folder")

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._root = ""
        self._problems: dict[str, str] = {}

    def problem(self, path: str) -> str:
        """Why the file (from :func:`split`) cannot be used, or nothing."""
        if path not in self._problems:
            self._problems[path] = self._look(path)
        return self._problems[path]

    def _look(self, path: str) -> str:
        full = os.path.join(self.folder, path)
        if not os.path.isfile(full):
            return f"There is no file {shown(path)} below the manifest's folder."
        self._root = self._root or os.path.realpath(self.folder)
        if os.path.commonpath([self._root, os.path.realpath(full)]) != self._root:
            return f"File {shown(path)} leads out of the manifest's folder by a symbolic link."
        return ""
