"""Pins: which environment variables a manifest was read with, so that a run goes on with the same ones.

Values are not kept: a variable may hold a secret. What is kept is a hash of each, but none of those whose name says
that it is a secret, since those are renewed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from agentflow_kernel.errors import EnvironmentChanged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SECRET = frozenset(
    ("APIKEY", "KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "CREDENTIALS", "URL", "URI", "DSN")
)
"""Words of a name, between underscores, that say it is a secret or may hold one, as the address of a database does."""


class RecordedEnvironment(Mapping[str, str]):
    """The environment of this process, which remembers what it was asked for."""

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        self._asked[name] = os.environ.get(name, "")
        return os.environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)

    def pins(self) -> dict[str, str]:
        """A hash for each variable that was asked for and is no secret by its name."""
        return {name: _hash(name, value) for name, value in sorted(self._asked.items()) if not _is_secret(name)}


def check_pins(run_id: str, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise :class:`EnvironmentChanged` naming each variable that has another value than when the run was started."""
    changed = [name for name, pin in then.items() if name in now and now[name] != pin]
    if changed:
        raise EnvironmentChanged(run_id, changed)


def _is_secret(name: str) -> bool:
    return not _SECRET.isdisjoint(name.upper().split("_"))


def _hash(name: str, value: str) -> str:
    from hashlib import sha256  # lazy: 3 ms, only manifests with variables pay

    return sha256(f"{name}={value}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
