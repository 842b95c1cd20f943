"""The drawing room: pictures of graphs, whatever they are graphs of, as JSON, Mermaid and SVG."""

from agentflow_kernel.drawing.mermaid import to_mermaid
from agentflow_kernel.drawing.picture import Edge, Group, Picture, Shape
from agentflow_kernel.drawing.svg import to_svg

__all__ = (
    "Edge",
    "Group",
    "Picture",
    "Shape",
    "to_mermaid",
    "to_svg",
)
