"""A scaffold: the files of a new plugin distribution, made from templates; what they make works as it is."""

from __future__ import annotations

import os
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from agentflow_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

PREFIX: Final = "agentflow-"
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_MARK = re.compile(r"\{\{(\w+)\}\}")


class Kind(NamedTuple):
    """What the files of one kind differ in."""

    group: str
    spec: str
    module: str
    """The module of the implementation, and the word after `create_`."""


KINDS: Final[Mapping[str, Kind]] = {
    "memory": Kind("memories", "MemorySpec", "memory"),
    "tool": Kind("tools", "ToolsetSpec", "toolset"),
    "policy": Kind("policies", "PolicySpec", "policy"),
    "journal": Kind("journals", "JournalSpec", "journal"),
    "provider": Kind("providers", "ProviderSpec", "provider"),
    "source": Kind("sources", "SourceSpec", "source"),
}
PLACES: Final[Mapping[str, str]] = {
    "CHANGELOG.md.txt": "CHANGELOG.md",
    "README.md.txt": "README.md",
    "ci.yml.txt": ".github/workflows/ci.yml",
    "gitignore.txt": ".gitignore",
    "noxfile.py.txt": "noxfile.py",
    "pyproject.toml.txt": "pyproject.toml",
    "test_plugin.py.txt": "tests/test_plugin.py",
}
"""Where the templates go that do not belong into the package."""


def plugin_files(kind: str, name: str) -> dict[str, str]:
    """Each file of a new distribution by its path below the distribution's folder.

    Raises:
        UsageError: the name cannot be one, for a distribution and for a Python package.
    """
    plugin = name.removeprefix(PREFIX)
    if not _NAME.fullmatch(plugin):
        raise UsageError(f"{name!r} cannot be the name of a plugin: lower case letters, digits and single dashes only.")
    values = _values(kind, plugin)
    package = values["package"]
    found = {f"{package}/py.typed": ""}
    for template in _templates(kind):
        place = PLACES.get(template.name)
        if place is None:
            module = template.name.removesuffix(".txt")
            place = f"{package}/{'__init__.py' if module == 'init.py' else module}"
        found[place] = _MARK.sub(lambda mark: values[mark[1]], template.read_text(encoding="utf-8"))
    return dict(sorted(found.items()))


def write(folder: str, content: Mapping[str, str]) -> None:
    """Write files into a folder, which is made; nothing that is there is touched.

    Raises:
        UsageError: the folder holds something already.
        OSError: it cannot be written.
    """
    if os.path.lexists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise UsageError(f"{folder} is there already and is not empty. Nothing was written; take another --folder.")
    for path, text in content.items():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "x", encoding="utf-8") as stream:
            stream.write(text)


def _values(kind: str, plugin: str) -> dict[str, str]:
    """What stands for each mark of the templates."""
    of_kind = KINDS[kind]
    return {
        **of_kind._asdict(),
        "kind": kind,
        "KIND": kind.upper(),
        "plugin": plugin,
        "distribution": PREFIX + plugin,
        "package": (PREFIX + plugin).replace("-", "_"),
        "class": "".join(part.capitalize() for part in plugin.split("-")),
    }


def _templates(kind: str) -> list[Traversable]:
    """The common templates and those of the kind, which replace common ones of the same name."""
    root = files("agentflow_cli") / "templates" / "plugin"
    found = {entry.name: entry for folder in ("common", kind) for entry in (root / folder).iterdir()}
    return [entry for entry in found.values() if entry.name.endswith(".txt")]
