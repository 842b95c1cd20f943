"""Advice: commands to go on with, ready to be pasted; the only place where they are put together."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Final

from agentflow_cli.run_report import nearby

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PRIVATE: Final = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "URL", "DSN")
"""Parts of the names of variables whose values are not shown: they hold secrets, or addresses with secrets in them."""


class Advice:
    """What a command needs so that it finds the runs of one kernel again.

    ``state`` is the state folder that was given, ``file`` the manifest where the journal is the manifest's own, and
    ``names`` are the environment variables that the manifest was read with.
    """

    __slots__ = ("file", "names", "state")

    def __init__(self, state: str | None, file: str | None = None, names: Iterable[str] = ()) -> None:
        self.state = state
        self.file = file
        self.names = tuple(names)

    def resume_line(self, run_ids: Iterable[str], environ: Mapping[str, str] = os.environ) -> str:
        """The command that goes on with runs, in the environment that they have now."""
        return " ".join([*self._assignments(environ), self._command("resume", *run_ids)])

    def describe_line(self, run_id: str) -> str:
        """The command that shows the steps of a run."""
        return self._command("describe", "run", run_id)

    def _command(self, *words: str) -> str:
        state = [] if self.state is None else ["--state", self.state]
        file = [] if self.file is None else ["--file", nearby(self.file)]
        return shlex.join(["agentflow", *words, *state, *file])

    def _assignments(self, environ: Mapping[str, str]) -> list[str]:
        """`NAME=value` for each variable that is set and may be shown."""
        shown = [name for name in self.names if name in environ and not any(part in name.upper() for part in _PRIVATE)]
        return [f"{name}={shlex.quote(environ[name])}" for name in shown]
