"""JSON text: read strictly, as a model wrote it."""

from __future__ import annotations

import json
from typing import cast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from agentflow_kernel.contracts.values import JSON


def read_strictly(text: str) -> tuple[JSON, str | None]:
    """The value of a JSON text, bare or in one Markdown fence, and ``None``; or ``None`` and what is wrong."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        text = text[text.index("\n") : -3]
    try:
        return cast("JSON", json.loads(text, parse_constant=_refuse)), None
    except RecursionError:
        return None, "it is nested too deeply"
    except ValueError as fault:
        return None, f"it is not JSON: {fault}"


def _refuse(constant: str) -> NoReturn:
    """``NaN`` and ``Infinity`` are Python's, not JSON's."""
    raise ValueError(f"{constant} is no JSON number")
