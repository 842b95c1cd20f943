"""The kernel room: the composition root and the life cycle of everything that runs in one process."""

from agentflow_kernel.kernel.core import Kernel
from agentflow_kernel.kernel.durability import NotDurableWarning

__all__ = ("Kernel", "NotDurableWarning")
