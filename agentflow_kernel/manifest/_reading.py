"""A reading: from a path to a manifest, or to all findings at once."""

from __future__ import annotations

import os

from agentflow_kernel.manifest._catalogue import Shelf
from agentflow_kernel.manifest._code import CodeFolder
from agentflow_kernel.manifest._context import REJECTED, Context, Scope
from agentflow_kernel.manifest._file import MAX_BYTES_IN_ALL, files_of, text_of
from agentflow_kernel.manifest._findings import Findings
from agentflow_kernel.manifest._graph import check_flow, check_trigger_data
from agentflow_kernel.manifest._kinds import API_VERSION, KINDS
from agentflow_kernel.manifest._links import Names, check_cycles
from agentflow_kernel.manifest._manifest import Manifest
from agentflow_kernel.manifest._resource import Resource
from agentflow_kernel.manifest._wording import described, listed, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.manifest._catalogue import Catalogue
    from agentflow_kernel.manifest._node import Node


def read(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    catalogue: Catalogue | None = None,
) -> Manifest:
    """The manifest in a file, or in all ``*.yaml`` and ``*.yml`` directly in a folder, sorted by name.

    ``environ`` gives the values of ``${NAME}``, by default the process's environment. With a ``catalogue``, plugins
    that are not installed are findings; without one their names are not looked at. Reads files: not for event loops.

    Raises:
        ManifestErrors: all findings in document order, each with file, line, column and path where it has them.
    """
    given = os.fspath(path)
    findings = Findings()
    files = files_of(given, findings)
    folder = os.path.abspath(given if files != [given] else os.path.dirname(given))
    scope = Scope(findings, os.environ if environ is None else environ, CodeFolder(folder))
    reading = _Reading(scope)
    for file in files:
        reading.read_file(file)
    reading.check(catalogue)
    findings.raise_if_any()
    return Manifest(folder, files, [resource for resource, _ in reading.resources])
