"""A verdict on the command line: what a person has decided about a run that is stuck, and who it was."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Any, cast

from agentflow_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.kernel.verdict import Verdict


def read_verdict(decisions: Sequence[str], results: Sequence[str], *, accept: bool) -> Verdict | None:
    """What the options say, `None` where none is given; raises :class:`UsageError` for what cannot be read."""
    if not accept and not decisions and not results:
        return None
    from agentflow_kernel.kernel.verdict import Verdict  # lazy: only where a person decides

    decide = cast("Any", dict(_pair("--decide", text, "STEP=done, STEP=retry or STEP=fail") for text in decisions))
    given = dict(_pair("--result", text, "STEP=JSON") for text in results)
    return Verdict(
        accept=accept, decide=decide, results={path: _value(path, text) for path, text in given.items()}, by=who()
    )


def who() -> str:
    """The user who calls the command, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        return ""


def _pair(option: str, text: str, expected: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not path or not equals:
        raise UsageError(f"{option} {text!r}: expected {expected}.")
    return path, value


def _value(path: str, text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"--result of {path!r} is no JSON: {error}.") from error
