"""A plan file: the document of a plan that stands in a file of its own, beside the manifest."""

from __future__ import annotations

import os

from agentflow_kernel.errors import ManifestErrors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.manifest import Manifest, Resource

MAX_BYTES = 16 * 1024 * 1024
"""Size of the largest file that is read."""


def read_plan_file(manifest: Manifest, resource: Resource) -> Mapping[str, JSON]:
    """The document: the mapping in a YAML or JSON file, ``{"source": text, "file": name}`` of any other.

    Raises :class:`ManifestErrors` where the file cannot be read, is no UTF-8, is larger than 16 MiB or, with the
    ending of YAML or JSON, holds no mapping.
    """
    name = str(resource.spec["file"])
    path = os.path.join(resource.folder, name)
    problem = ""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode().removeprefix("\ufeff")
    except OSError as error:
        problem = error.strerror or str(error)
    except UnicodeDecodeError as error:
        problem = f"It is not UTF-8: byte 0x{content[error.start]:02x} at offset {error.start}"
    else:
        problem = f"It has more than {MAX_BYTES:,} bytes" if len(content) > MAX_BYTES else ""
    if not problem:
        if os.path.splitext(name)[1].lower() not in {".yaml", ".yml", ".json"}:
            return {"source": text, "file": name}
        from agentflow_kernel.manifest import load_yaml  # lazy: imports yaml

        document = load_yaml(text, path)
        if isinstance(document, dict):
            return document
        problem = "It holds no mapping"
    raise ManifestErrors([manifest.error(resource, ("spec", "file"), f"File {name!r}: {problem}.")])
