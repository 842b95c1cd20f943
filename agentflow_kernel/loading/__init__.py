"""Loading: which plugins are installed, which of them may be used, and their use one by one.

Nothing is imported until a plugin is named. :mod:`agentflow_kernel.loading.doctor` looks for plugins that are broken.
"""

from __future__ import annotations

from agentflow_kernel.loading._catalogue import Catalogue, Entry
from agentflow_kernel.loading._plugins import SUPPORTED_API_VERSIONS, Plugins
from agentflow_kernel.loading._record import record_digest
from agentflow_kernel.loading._scan import KINDS, Broken

__all__ = ("Broken", "Catalogue", "Entry", "KINDS", "Plugins", "SUPPORTED_API_VERSIONS", "record_digest")
