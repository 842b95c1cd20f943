"""A schema: the part of JSON Schema 2020-12 that tools and output models are described with, ready to check values."""

from __future__ import annotations

from collections.abc import Mapping

from agentflow_kernel.schema._keywords import KEYWORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.schema._keywords import Findings

_MOST = 5
"""Problems named at a time: enough to correct a call, short enough to read."""


def find_problems(value: JSON, schema: JSON, root: JSON = None) -> list[str]:
    """What is wrong with a value, at most five sentences that begin with a JSON pointer; empty when it fits.

    Where the schema is a part of another one, ``root`` is that one: references such as ``#/$defs/x`` lead into it.
    """
    check = Check(schema if root is None else root)
    try:
        check.value(value, schema, "")
    except RecursionError:
        return ["the whole value: is nested too deeply to be checked"]
    except (ArithmeticError, AttributeError, TypeError, ValueError) as fault:  # a schema that is none
        return [f"the whole value: cannot be checked, the schema is wrong ({type(fault).__name__}: {fault})"]
    return [f"{path or 'the whole value'}: {problem}" for path, problem in check.found[:_MOST]]


class Check:
    """One check of one value: the root of the schema, for references, and what was found so far."""

    __slots__ = ("root", "found")

    def __init__(self, root: JSON) -> None:
        self.root = root
        self.found: Findings = []

    def value(self, value: JSON, schema: JSON, path: str) -> None:
        """Check one value against one schema, an object or a boolean."""
        if isinstance(schema, (dict, Mapping)):
            for keyword, rule in schema.items():
                check = KEYWORDS.get(keyword)
                if check is not None:
                    check(self, value, rule, schema, path)
        elif schema is False:
            self.found.append((path, "nothing is allowed here"))

    def trial(self, value: JSON, schema: JSON, path: str) -> Findings:
        """What would be found against one branch, without noting it."""
        trial = Check(self.root)
        trial.value(value, schema, path)
        return trial.found
