"""Plugins made of a few lines, written into a folder as an installer would: five that are broken, and good ones.

Self-contained, so that the tests of other distributions can load it by its path, and scripts can run it with a folder.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

BAD = {
    "agentflow-bad-import": "ImportError",
    "agentflow-bad-exit": "SystemExit",
    "agentflow-bad-hang": "hangs at import",
    "agentflow-bad-signature": "registry",
    "agentflow-bad-version": "API version 99",
}
"""The five distributions that :func:`write_bad_plugins` writes, and a part of the cause that names each fault."""

_HEAD = "from agentflow_kernel.contracts.plugin import {spec}\nfrom agentflow_kernel.hookspecs import hookimpl\n\n\n"
_HOOK = (
    "@hookimpl\ndef {hook}({parameters}):\n"
    "    return [{spec}(name, factory='{package}.objects:make', {more}) for name in {names!r}]\n"
)


def write_distribution(
    folder: Path, name: str, files: dict[str, str], groups: dict[str, dict[str, str]], version: str = "1.0"
) -> Path:
    """Install a distribution: its files by path, its entry points by group; the metadata folder comes back."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    entry_points = "".join(
        "\n".join([f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()), ""])
        for group, entries in groups.items()
    )
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    contents = {**files, f"{info}/METADATA": metadata, f"{info}/entry_points.txt": entry_points}
    record = []
    for path, text in contents.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record.append(f"{path},sha256={digest},{len(text.encode())}")
    (folder / info / "RECORD").write_text("\n".join([*record, f"{info}/RECORD,,"]) + "\n", encoding="utf-8")
    return folder / info


def toolset(package: str, *names: str, parameters: str = "", more: str = "", head: str = "") -> dict[str, str]:
    """The files of a package whose plugin offers toolsets; ``head`` runs when the plugin is imported."""
    hook = _HOOK.format(
        hook="agentflow_tools", spec="ToolsetSpec", package=package, names=names, parameters=parameters, more=more
    )
    return {
        f"{package}/__init__.py": "",
        f"{package}/_plugin.py": _HEAD.format(spec="ToolsetSpec") + head + hook,
        f"{package}/objects.py": "def make(settings, context):\n    return (settings, context)\n",
    }


def write_toolset(folder: Path, name: str, *names: str, version: str = "1.0", **form: str) -> Path:
    """Install a distribution with toolsets of these names; ``form`` as for :func:`toolset`."""
    package = name.replace("-", "_")
    entries = dict.fromkeys(names, f"{package}._plugin")
    return write_distribution(folder, name, toolset(package, *names, **form), {"agentflow.tools": entries}, version)


def write_bad_plugins(folder: Path) -> dict[str, str]:
    """Install the five broken plugins, each offering one toolset ``bad-…``; :data:`BAD` comes back.

    In order: a name that cannot be imported, an exit at import, a loop at import that never ends, a hook with a
    parameter that does not exist, a spec for another version of the plugin API.
    """
    write_toolset(folder, "agentflow-bad-import", "bad-import", head="from os import a_name_it_has_not\n\n\n")
    write_toolset(folder, "agentflow-bad-exit", "bad-exit", head="raise SystemExit(3)\n\n\n")
    write_toolset(folder, "agentflow-bad-hang", "bad-hang", head="import time\nwhile True:\n    time.sleep(1)\n\n\n")
    write_toolset(folder, "agentflow-bad-signature", "bad-signature", parameters="registry")
    write_toolset(folder, "agentflow-bad-version", "bad-version", more="api_version=99")
    return BAD


def write_good_plugins(folder: Path, count: int = 6) -> list[str]:
    """Install plugins that work, ``agentflow-good-0`` and on, each offering one toolset; the toolsets' names."""
    names = [f"good-{number}" for number in range(count)]
    for name in names:
        write_toolset(folder, f"agentflow-{name}", name)
    return names


if __name__ == "__main__":
    write_bad_plugins(Path(sys.argv[1]))
    write_good_plugins(Path(sys.argv[1]))
