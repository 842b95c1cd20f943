"""Manifests: YAML files that define agents, flows and what they are made of.

A manifest is a file, or a folder of files, with one resource a document::

    apiVersion: agentflow.dev/v1
    kind: Model
    metadata: {name: claude}
    spec:
      plugin: anthropic
      model: claude-sonnet-5
      with: {api_key: "${ANTHROPIC_API_KEY}"}

:func:`read` gives a :class:`Manifest` whose resources are consistent with each other, or raises
:class:`~agentflow_kernel.errors.ManifestErrors` with everything that is wrong: file, line, column, path, what was
found, what was expected and the nearest valid name. Text is YAML 1.2 with the numbers of JSON, without tags and merge
keys; size, depth and the effect of aliases are limited. YAML is imported at the first file, code of a manifest never.
"""

from __future__ import annotations

from agentflow_kernel.manifest._catalogue import Catalogue
from agentflow_kernel.manifest._json_schema import json_schema
from agentflow_kernel.manifest._kinds import API_VERSION, KINDS
from agentflow_kernel.manifest._manifest import Manifest
from agentflow_kernel.manifest._path import steps
from agentflow_kernel.manifest._plain import load_yaml
from agentflow_kernel.manifest._reading import read, read_all
from agentflow_kernel.manifest._resource import Resource
from agentflow_kernel.manifest._source import Source
from agentflow_kernel.manifest._writing import to_yaml

__all__ = (
    "API_VERSION",
    "Catalogue",
    "KINDS",
    "Manifest",
    "Resource",
    "Source",
    "json_schema",
    "load_yaml",
    "read",
    "read_all",
    "steps",
    "to_yaml",
)
