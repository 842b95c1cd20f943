"""A chart: a flow as text that Mermaid draws."""

from __future__ import annotations

from agentflow_kernel.drawing import to_mermaid as draw
from agentflow_kernel.flow.picture import picture_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.flow.graph import Graph


def to_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart, ending in a newline; see :func:`picture_of` for what is drawn."""
    return draw(picture_of(graph))
