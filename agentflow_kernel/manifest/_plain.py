"""Plain data: one YAML document as JSON values, read under the limits of manifests."""

from __future__ import annotations

from agentflow_kernel.manifest._findings import Findings, Full
from agentflow_kernel.manifest._node import BROKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.manifest._node import Node


def load_yaml(text: str, file: str = "the text") -> JSON:
    """The data of a text that holds exactly one document: YAML 1.2 with the numbers of JSON, no tags, no merge keys.

    ``file`` is how findings name it. Depth, size and the effect of aliases are limited; keys are strings.
    Raises :class:`ManifestErrors` with line and column of everything that is wrong.
    """
    from agentflow_kernel.manifest._document import Reader  # lazy: 15 ms, imports yaml

    findings = Findings()
    try:
        documents, complete = Reader(findings).documents(file, text)
        if complete and len(documents) != 1:
            findings.add(f"Expected one document, found {len(documents)}.", file, (1, 1))
    except Full:
        documents = []
    findings.raise_if_any()
    return _plain(documents[0])


def _plain(node: Node) -> JSON:
    value = node.value
    if value.__class__ is dict:
        return {key: _plain(child) for key, child in value.items()}
    if value.__class__ is list:
        return [_plain(child) for child in value]
    plain: JSON = None if value is BROKEN else value
    return plain
