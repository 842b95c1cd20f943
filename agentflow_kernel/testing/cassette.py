"""A cassette: calls of providers and tools, recorded once with the real ones and replayed without them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from agentflow_kernel.errors import UsageError
from agentflow_kernel.testing.cassette_file import read_cassette, write_cassette
from agentflow_kernel.testing.cassette_player import Player
from agentflow_kernel.testing.cassette_recorder import Recorder
from agentflow_kernel.testing.cassette_redaction import Redactor
from agentflow_kernel.testing.cassette_rules import CassetteRules
from agentflow_kernel.testing.cassette_subjects import (
    RecordingProvider,
    RecordingToolset,
    ReplayingProvider,
    ReplayingToolset,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from agentflow_kernel.contracts.provider import Provider
    from agentflow_kernel.contracts.tool import Toolset
    from agentflow_kernel.kernel import Kernel

Subject = TypeVar("Subject")
Mode = Literal["record", "replay", "auto"]
MODES = ("record", "replay", "auto")
VARIABLE = "AGENTFLOW_CASSETTE"
"""The environment variable that sets the mode of all cassettes: ``record``, ``replay`` or ``auto``."""


class Cassette:
    """``with Cassette.replay(path) as cassette:``, or in a coroutine ``async with``, which uses a thread for the file.

    While it replays, the block ends with :class:`CassetteMiss` if a call had no answer, whatever the code within made
    of that, and with :class:`CassetteUnplayed` if recorded calls were not made. While it records, the file is written
    at the end of the block, whole or not at all; a block that ends with an error leaves the old file as it was,
    unless the rules say otherwise.
    """

    def __init__(self, path: str | os.PathLike[str], mode: Mode, rules: CassetteRules | None = None) -> None:
        asked = os.environ.get(VARIABLE) or mode
        if asked not in MODES:
            raise UsageError(f"A cassette's mode is one of {', '.join(MODES)}, not {asked!r} (see {VARIABLE}).")
        self.path = os.fspath(path)
        self._asked = asked
        self._rules = rules if rules is not None else CassetteRules()
        self._recorder: Recorder | None = None
        self._player: Player | None = None

    @classmethod
    def record(cls, path: str | os.PathLike[str], rules: CassetteRules | None = None) -> Self:
        """Record with the real provider and tools, in the place of what was recorded before."""
        return cls(path, "record", rules)

    @classmethod
    def replay(cls, path: str | os.PathLike[str], rules: CassetteRules | None = None) -> Self:
        """Replay what was recorded.

        Entering raises :class:`UsageError` where there is no file, :class:`ProtocolViolation` for one that is broken,
        :class:`NewerSchema` for one of a later version, :class:`CassetteStale` for one that is too old.
        """
        return cls(path, "replay", rules)

    @classmethod
    def auto(cls, path: str | os.PathLike[str], rules: CassetteRules | None = None) -> Self:
        """Replay the file if it is there, else record it."""
        return cls(path, "auto", rules)

    @property
    def mode(self) -> Literal["record", "replay"]:
        """What it does; known inside the ``with`` block, where ``auto`` has been decided."""
        self._opened()
        return "record" if self._recorder is not None else "replay"

    def provider(self, real: Provider | None = None, *, name: str = "model") -> RecordingProvider | ReplayingProvider:
        """A provider in the place of the real one, which only recording needs; it closes the real one.

        Raises :class:`CassetteStale` when nothing was recorded under the name, or the real one is of another class.
        """
        opened = self._opened()
        if isinstance(opened, Player):
            return ReplayingProvider(opened, name, real)
        return RecordingProvider(opened, name, _needed(real, f"provider {name!r}"))

    def toolset(self, real: Toolset | None = None, *, name: str) -> RecordingToolset | ReplayingToolset:
        """A toolset in the place of the real one, which only recording needs; it closes the real one.

        Raises :class:`CassetteStale` when nothing was recorded under the name, or the real tools are others.
        """
        opened = self._opened()
        if isinstance(opened, Player):
            return ReplayingToolset(opened, name, real)
        return RecordingToolset(opened, name, _needed(real, f"toolset {name!r}"))

    def wrap(self, kind: str, name: str, make: Callable[[], object]) -> object:
        """What stands for the object that ``make`` makes, for whoever composes objects by kind and name.

        A provider (kind ``provider``) is made to be recorded, not to be replayed: no key is needed. A toolset (kind
        ``tool``) is made in both cases, so that a changed one is noticed. Other kinds are made as they are.
        """
        if kind == "provider":
            real = None if self.mode == "replay" else cast("Provider", make())
            return self.provider(real, name=name)
        if kind == "tool":
            return self.toolset(cast("Toolset", make()), name=name)
        return make()

    def attach(self, kernel: Kernel) -> None:
        """Stand between a kernel and the providers and toolsets of its manifest; call it before anything is run.

        A replay makes no provider: it needs neither key nor network. Raises :class:`UsageError` without a manifest.
        """
        from agentflow_kernel.kernel.core import intercept  # lazy: the fakes are used without a kernel too

        intercept(kernel, self.wrap)

    def assert_complete(self) -> None:
        """Raise what failed, or :class:`CassetteUnplayed` if recorded calls have not been made. It replays only."""
        opened = self._opened()
        if isinstance(opened, Player):
            opened.check_complete()

    def _opened(self) -> Recorder | Player:
        opened = self._recorder or self._player
        if opened is None:
            raise UsageError(
                f"Cassette {self.path!r} is not open. Use it in `with cassette:` or `async with cassette:`."
            )
        return opened

    def _open(self) -> None:
        if self._recorder is not None or self._player is not None:
            raise UsageError(f"Cassette {self.path!r} is open already. Make one for each block.")
        redactor = Redactor(self._rules)
        if self._asked == "record" or (self._asked == "auto" and not os.path.exists(self.path)):
            self._recorder = Recorder(self.path, redactor)
            self._recorder.file.recorded_at = self._rules.clock.now()
            return
        player = Player(self.path, read_cassette(self.path), self._rules, redactor)
        player.check_age()
        self._player = player

    def _close(self, error: BaseException | None) -> None:
        """End the recording or the replay; raises what there is to say against it."""
        recorder, player = self._recorder, self._player
        self._recorder = self._player = None
        if recorder is not None:
            if recorder.failure is not None and error is None:
                raise recorder.failure
            if error is None or (self._rules.on_failure == "write" and recorder.failure is None):
                write_cassette(self.path, recorder.to_text())
        if player is None:
            return
        if error is None:
            player.check_complete()
        elif player.failure is not None and isinstance(error, Exception) and type(error) is not type(player.failure):
            raise player.failure.again() from error  # the failure itself, of the same type, is on its way already

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close(error)

    async def __aenter__(self) -> Self:
        from anyio import to_thread  # the synchronous form needs no event loop

        await to_thread.run_sync(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from anyio import CancelScope, to_thread  # the synchronous form needs no event loop

        with CancelScope(shield=True):  # a cancelled block is one that ends with an error
            await to_thread.run_sync(self._close, error)


def _needed(real: Subject | None, what: str) -> Subject:
    if real is None:
        raise UsageError(f"This cassette records: give it the real {what}, or set {VARIABLE}=replay.")
    return real
